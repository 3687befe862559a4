LEFT JOIN (
  SELECT DISTINCT ON ({places}) true AS found, {keys}, {load_id} AS load_id{columns}
  FROM {final} AS f
  ORDER BY {places}, {load_id} DESC NULLS LAST
) AS {alias} ON {same_keys}
