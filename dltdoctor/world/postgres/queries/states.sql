SELECT {part}, s.pipeline_name, s.version, s.load_id, s.status,
       CASE WHEN (s.status = 0 AND s.nth = 1) OR (s.place = 1 AND s.status IS DISTINCT FROM 0) THEN s.state END, s.unrecorded
FROM (
  SELECT r.*,
         row_number() OVER (PARTITION BY r.pipeline_name ORDER BY r.load_id DESC, r.version DESC) AS place,
         row_number() OVER (PARTITION BY r.pipeline_name, r.status ORDER BY r.load_id DESC, r.version DESC) AS nth,
         count(*) FILTER (WHERE r.status IS NULL) OVER () AS unrecorded
  FROM (SELECT t.pipeline_name::text AS pipeline_name, {version} AS version,
               t._dlt_load_id::text COLLATE "C" AS load_id, t.state::text AS state, {status} AS status
        FROM {table} AS t{loads}) AS r
) AS s
WHERE s.place <= {most} OR s.nth = 1
