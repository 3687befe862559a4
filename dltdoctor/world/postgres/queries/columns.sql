-- For the tables whose columns' names hold newlines, which tables.sql cannot carry.
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s::name AND c.relname = %s::name AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
