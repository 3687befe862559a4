-- One row a table, its columns as one text of lines "type TAB !name" (NOT NULL) or "type TAB ?name":
-- ten times fewer rows to carry than one a column, and no look-up by name on either side.
SELECT n.nspname::text,
       c.relname::text,
       c.relkind::text,
       pg_get_userbyid(c.relowner)::text,
       c.reltuples,
       has_schema_privilege(n.oid, 'USAGE')
         -- The owner may read while nobody has changed the privileges; asking costs as much as five columns.
         AND (c.relacl IS NULL AND pg_get_userbyid(c.relowner) = current_user
              OR has_table_privilege(c.oid, 'SELECT'))
         AND NOT (c.relrowsecurity AND row_security_active(c.oid)),
       a.row_key IS NOT NULL
         AND EXISTS (SELECT
                     FROM pg_index AS i
                     WHERE i.indrelid = c.oid AND i.indkey[0] = a.row_key AND i.indisvalid AND i.indpred IS NULL),
       a.number,
       a.lines
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
  SELECT string_agg(format_type(o.atttypid, o.atttypmod)
                      || CASE WHEN o.attnotnull THEN E'\t!' ELSE E'\t?' END
                      || o.attname, E'\n') AS lines,
         min(o.attnum) FILTER (WHERE o.attname = '_dlt_id') AS row_key,
         count(*) AS number
  FROM (SELECT a.attname, a.attnum, a.atttypid, a.atttypmod, a.attnotnull
        FROM pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attnum) AS o
) AS a
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
