SELECT {part}, s.pipeline_name, s.version, s.load_id, s.committed, CASE WHEN s.committed AND s.nth = 1 THEN s.state END
FROM (
  SELECT r.*,
         row_number() OVER (PARTITION BY r.pipeline_name ORDER BY r.load_id DESC, r.version DESC) AS place,
         row_number() OVER (PARTITION BY r.pipeline_name, r.committed ORDER BY r.load_id DESC, r.version DESC) AS nth
  FROM (SELECT t.pipeline_name::text AS pipeline_name, {version} AS version,
               t._dlt_load_id::text COLLATE "C" AS load_id, t.state::text AS state, {committed} AS committed
        FROM {table} AS t) AS r
) AS s
WHERE s.place <= {most} OR s.nth = 1
