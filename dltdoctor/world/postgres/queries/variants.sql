SELECT {part}, count(t.{column}), NULL::text, count(t.{variant}) FILTER (WHERE t.{column} IS NULL)
FROM (SELECT t.{column}, t.{variant} FROM {table} AS t {tail}) AS t
HAVING count(t.{variant}) FILTER (WHERE t.{column} IS NULL) > 0
