-- Who may read a relation besides its owner. Superusers and pg_read_all_data need no grant and are no readers.
SELECT n.nspname::text, c.relname::text, CASE WHEN g.grantee = 0 THEN 'public' ELSE pg_get_userbyid(g.grantee) END::text
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL aclexplode(c.relacl) AS g
WHERE g.privilege_type = 'SELECT' AND g.grantee <> c.relowner AND g.grantee <> 0
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY 3, 1, 2
