-- The search path of a role that nobody has given one of its own: the database's, else everybody's, else the server's.
SELECT c.setting, CASE WHEN s.setdatabase = 0 THEN 'every role' ELSE 'the database' END
FROM pg_db_role_setting AS s
CROSS JOIN LATERAL unnest(s.setconfig) AS c (setting)
WHERE s.setrole = 0
  AND s.setdatabase IN (0, (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()))
  AND c.setting LIKE 'search\_path=%'
UNION ALL
-- What this session's client or role has set is nobody else's.
SELECT 'search_path=' || p.reset_val, 'the server'
FROM pg_settings AS p
WHERE p.name = 'search_path' AND p.source IN ('configuration file', 'command line', 'environment variable')
