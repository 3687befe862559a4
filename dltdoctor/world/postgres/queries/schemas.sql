-- The same nspname filter stands in tables.sql and views.sql: temporary and toast schemas are never dlt's.
SELECT n.nspname::text, pg_get_userbyid(n.nspowner)::text, has_schema_privilege(n.oid, 'USAGE')
FROM pg_namespace AS n
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY n.nspname
