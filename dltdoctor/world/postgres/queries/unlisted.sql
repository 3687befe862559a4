SELECT {part}, 0::bigint, t.load_id, count(*)
FROM (SELECT t._dlt_load_id::text AS load_id FROM {table} AS t {tail}) AS t
WHERE t.load_id IS NOT NULL
  AND NOT EXISTS (SELECT FROM {loads} AS l WHERE l.load_id::text = t.load_id)
GROUP BY t.load_id
