SELECT {part}, s.load_id, count(*)
FROM (SELECT {load_id} AS load_id FROM {source} LIMIT {most_rows}) AS s
GROUP BY s.load_id
ORDER BY s.load_id DESC NULLS FIRST
LIMIT {most_loads}
