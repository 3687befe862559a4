SELECT {part}, s.load_id, count(*),
       count(*) FILTER (WHERE s.arrived),
       count(*) FILTER (WHERE s.superseded AND NOT s.arrived),
       ARRAY[{any_lost}]::boolean[]
FROM (
  SELECT sample.load_id, {arrived} AS arrived, {superseded} AS superseded{lost}
  FROM ({sample}) AS sample
  {lookups}
) AS s
GROUP BY s.load_id
