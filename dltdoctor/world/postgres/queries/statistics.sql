-- What ANALYZE has kept of some columns: values only of _dlt_load_id, which are nobody's data.
SELECT wanted.place,
       s.null_frac::double precision,
       CASE WHEN s.attname = '_dlt_load_id' THEN s.most_common_vals::text::text[] END,
       CASE WHEN s.attname = '_dlt_load_id' THEN s.most_common_freqs::double precision[] END
FROM unnest({schemas}::text[], {names}::text[], {columns}::text[]) WITH ORDINALITY
       AS wanted (schema, name, attribute, place)
JOIN pg_stats AS s
  ON s.schemaname = wanted.schema::name AND s.tablename = wanted.name::name AND s.attname = wanted.attribute::name
