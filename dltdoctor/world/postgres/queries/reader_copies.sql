-- What a role may do with the relations of one name. Without a policy for it, row level security shows no row.
SELECT n.nspname::text,
       has_schema_privilege(o.oid, n.oid, 'USAGE'),
       has_table_privilege(o.oid, c.oid, 'SELECT'),
       ARRAY(SELECT a.attname::text
             FROM pg_attribute AS a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY(%(columns)s)
               AND NOT has_column_privilege(o.oid, c.oid, a.attnum, 'SELECT')),
       CASE
         WHEN NOT c.relrowsecurity OR o.rolsuper OR o.rolbypassrls
              OR (c.relowner = o.oid AND NOT c.relforcerowsecurity) THEN 'none'
         WHEN EXISTS (SELECT
                      FROM pg_policy AS p
                      WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('r', '*')
                        AND (0 = ANY(p.polroles)
                             OR EXISTS (SELECT FROM unnest(p.polroles) AS t (oid) WHERE pg_has_role(o.oid, t.oid, 'MEMBER')))
                     ) THEN 'policy'
         ELSE 'no-policy'
       END
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_roles AS o ON o.rolname = %(role)s
WHERE c.relname = %(name)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_'
ORDER BY n.nspname
