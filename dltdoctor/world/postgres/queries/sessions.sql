SELECT a.usename::text, count(*)
FROM pg_stat_activity AS a
WHERE a.datname = current_database() AND a.usename IS NOT NULL AND a.pid <> pg_backend_pid()
  -- Both are NULL for a role that may not look at other roles' sessions.
  AND coalesce(a.backend_type, 'client backend') = 'client backend'
  AND a.application_name IS DISTINCT FROM 'dltdoctor'
GROUP BY 1
