-- Each recorded state begins a stretch: it, and the states before it that no load records, newest first.
-- Stretch 0 has no recorded state. A state is overtaken when every newer one of its stretch has a higher version.
SELECT {part}, s.pipeline_name, s.version, s.load_id, s.status, s.state
FROM (
  SELECT o.*,
         CASE WHEN o.status IS NULL THEN o.is_overtaken AND o.nth_overtaken <= {most}
              ELSE bool_or(o.is_overtaken) OVER neighbours AND min(o.nth_overtaken) OVER neighbours < {most}
         END AS is_wanted
  FROM (
    SELECT v.*, count(*) FILTER (WHERE v.is_overtaken)
                  OVER (PARTITION BY v.pipeline_name ORDER BY v.load_id DESC, v.version DESC) AS nth_overtaken
    FROM (
      SELECT n.*, n.status IS NULL AND n.stretch > 0 AND n.version < min(n.version) OVER (
               PARTITION BY n.pipeline_name, n.stretch ORDER BY n.place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
             ) AS is_overtaken
      FROM (
        SELECT r.*,
               row_number() OVER newest_first AS place,
               count(r.status) OVER newest_first AS stretch
        FROM (SELECT t.pipeline_name::text AS pipeline_name, {version} AS version,
                     t._dlt_load_id::text COLLATE "C" AS load_id, t.state::text AS state,
                     {status} AS status
              FROM {table} AS t{loads}) AS r
        WINDOW newest_first AS (PARTITION BY r.pipeline_name ORDER BY r.load_id DESC, r.version DESC)
      ) AS n
    ) AS v
  ) AS o
  WINDOW neighbours AS (PARTITION BY o.pipeline_name ORDER BY o.stretch GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW)
) AS s
WHERE s.is_wanted
