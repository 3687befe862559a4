-- Only of tables whose owner has granted or revoked something, or that are another's: the rest costs nothing.
SELECT a.schema, a.name, a.missing
FROM (
  SELECT n.nspname::text AS schema,
         c.relname::text AS name,
         array_remove(ARRAY[
           CASE WHEN NOT (has_table_privilege(r.oid, c.oid, 'SELECT')
                          OR has_any_column_privilege(r.oid, c.oid, 'SELECT')) THEN 'SELECT' END,
           CASE WHEN NOT (has_table_privilege(r.oid, c.oid, 'INSERT')
                          OR has_any_column_privilege(r.oid, c.oid, 'INSERT')) THEN 'INSERT' END,
           CASE WHEN NOT (has_table_privilege(r.oid, c.oid, 'UPDATE')
                          OR has_any_column_privilege(r.oid, c.oid, 'UPDATE')) THEN 'UPDATE' END,
           CASE WHEN NOT has_table_privilege(r.oid, c.oid, 'DELETE') THEN 'DELETE' END,
           CASE WHEN NOT has_table_privilege(r.oid, c.oid, 'TRUNCATE') THEN 'TRUNCATE' END,
           CASE WHEN NOT pg_has_role(r.oid, c.relowner, 'USAGE') THEN 'OWNERSHIP' END], NULL) AS missing
  FROM pg_roles AS r
  JOIN pg_namespace AS n ON n.nspname = ANY(%(schemas)s::text[]::name[])
  JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p')
                    AND (c.relacl IS NOT NULL OR c.relowner <> r.oid)
  WHERE r.rolname = %(role)s
) AS a
WHERE cardinality(a.missing) > 0
