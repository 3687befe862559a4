SELECT n.nspname::text,
       c.relname::text,
       CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END::text,
       g.privilege_type::text
FROM pg_namespace AS n
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm') AND c.relacl IS NOT NULL
CROSS JOIN LATERAL aclexplode(c.relacl) AS g
WHERE n.nspname = ANY(%(schemas)s::text[]::name[]) AND g.grantee <> c.relowner
