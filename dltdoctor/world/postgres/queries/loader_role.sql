-- What is not told of a role that does not exist, or that works as another one.
SELECT r.rolsuper,
       has_database_privilege(r.oid, d.oid, 'CREATE'),
       has_database_privilege(r.oid, d.oid, 'TEMPORARY'),
       EXISTS (SELECT
               FROM pg_db_role_setting AS s
               CROSS JOIN LATERAL unnest(s.setconfig) AS c (setting)
               WHERE s.setrole IN (0, r.oid) AND s.setdatabase IN (0, d.oid) AND c.setting LIKE 'role=%%')
FROM pg_roles AS r
JOIN pg_database AS d ON d.datname = current_database()
WHERE r.rolname = %(role)s
