LEFT JOIN LATERAL (
  SELECT true AS found, {load_id} AS load_id{columns}
  FROM {final} AS f
  WHERE {same_keys}
  ORDER BY 2 DESC NULLS LAST
  LIMIT 1
) AS {alias} ON true
