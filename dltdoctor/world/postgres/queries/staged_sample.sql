-- Some rows of each load, from all over the table. A bit mask thins the rows out before they are
-- ranked. TABLESAMPLE (100) is every row; unlike a plain scan it stays cheap while enable_seqscan is off.
SELECT ranked.*
FROM (
  SELECT thinned.*, row_number() OVER (PARTITION BY thinned.load_id ORDER BY thinned.spread) AS place
  FROM (SELECT {load_id} AS load_id, hashtext(s.ctid::text) AS spread{columns}
        FROM {source}
        WHERE {kept}
        LIMIT {most_rows}) AS thinned
  WHERE thinned.spread & (CASE {masks} END) = 0
) AS ranked
WHERE ranked.place <= {sample}
