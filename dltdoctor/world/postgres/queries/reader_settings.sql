-- Settings of roles and databases that decide what a reader's bare names lead to, the nearest first.
-- The exposed schemas belong to the role that PostgREST connects as, which has to be allowed to become the reader's.
SELECT s.setrole = 0 AS of_database,
       coalesce(r.rolname, '')::text,
       c.setting,
       r.rolname = %(role)s AS own
FROM pg_db_role_setting AS s
LEFT JOIN pg_roles AS r ON r.oid = s.setrole
CROSS JOIN LATERAL unnest(s.setconfig) AS c (setting)
WHERE (s.setdatabase = 0 OR s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
  AND (c.setting LIKE 'search\_path=%%' AND (s.setrole = 0 OR r.rolname = %(role)s)
       OR (c.setting LIKE 'pgrst.db\_schemas=%%' OR c.setting LIKE 'pgrst.db\_schema=%%')
          AND (s.setrole = 0
               OR EXISTS (SELECT FROM pg_roles AS q
                          WHERE q.rolname = %(role)s AND pg_has_role(s.setrole, q.oid, 'MEMBER'))))
ORDER BY s.setrole = 0, s.setdatabase = 0, r.rolname
