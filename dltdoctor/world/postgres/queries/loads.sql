SELECT {part}, l.schema_name, count(*), min(l.inserted_at), max(l.inserted_at), max(l.load_id COLLATE "C")
FROM (SELECT {load_id} AS load_id, {schema_name} AS schema_name, {inserted_at} AS inserted_at FROM {table} AS t) AS l
GROUP BY l.schema_name
