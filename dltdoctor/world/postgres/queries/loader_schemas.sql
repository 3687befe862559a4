SELECT n.nspname::text,
       has_schema_privilege(r.oid, n.oid, 'USAGE'),
       has_schema_privilege(r.oid, n.oid, 'CREATE'),
       pg_has_role(r.oid, n.nspowner, 'USAGE')
FROM pg_roles AS r
JOIN pg_namespace AS n ON n.nspname = ANY(%(schemas)s::text[]::name[])
WHERE r.rolname = %(role)s
