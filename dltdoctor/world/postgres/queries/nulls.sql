SELECT {part}, count(*), count(*) FILTER (WHERE {all_null} AND t.load_id > {after} AND t.load_id IN (
         SELECT l.load_id::text FROM {loads} AS l WHERE l.schema_name::text = {schema_name}))
FROM (SELECT t._dlt_load_id::text AS load_id{columns} FROM {table} AS t {sampled} LIMIT {most_rows}) AS t
