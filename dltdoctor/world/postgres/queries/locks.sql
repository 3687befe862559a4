SELECT DISTINCT n.nspname::text, c.relname::text
FROM pg_locks AS l
JOIN pg_class AS c ON c.oid = l.relation
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_get_activity(NULL) AS a ON a.pid = l.pid
WHERE l.locktype = 'relation'  -- granted or waited for: a merge that waits is at work, too
  AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  -- Not ShareUpdateExclusiveLock and ShareLock: VACUUM, ANALYZE and CREATE INDEX are no load.
  AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
  AND l.pid <> pg_backend_pid()
  -- An autovacuum worker is no user; what belongs to a prepared transaction has no process at all.
  AND (a.pid IS NULL OR a.usesysid IS NOT NULL)
