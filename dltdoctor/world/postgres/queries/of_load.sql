SELECT {part}, 0::bigint, NULL::text, count(*)
FROM (SELECT t._dlt_load_id::text AS load_id FROM {table} AS t {tail}) AS t
WHERE t.load_id = {load_id}
