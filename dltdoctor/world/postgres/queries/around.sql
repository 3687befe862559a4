SELECT {part}, count(*), count(*) FILTER (WHERE t.load_id = {load_id}), count(*) FILTER (WHERE t.load_id < {load_id})
FROM (SELECT t._dlt_load_id::text COLLATE "C" AS load_id FROM {table} AS t {sampled} LIMIT {most_rows}) AS t
