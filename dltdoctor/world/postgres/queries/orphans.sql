SELECT {part}, 0::bigint, NULL::text, count(*)
FROM (SELECT t.{link} AS link FROM {table} AS t {tail}) AS t
WHERE t.link IS NOT NULL AND NOT EXISTS (SELECT FROM {above} AS a WHERE a._dlt_id = t.link)
HAVING count(*) > 0
