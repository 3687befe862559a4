SELECT wanted.place, pg_relation_size(c.oid),
       ARRAY(SELECT a.attname::text
             FROM pg_index AS i
             JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
             WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL)
FROM unnest({schemas}::text[], {names}::text[]) WITH ORDINALITY AS wanted (schema, name, place)
JOIN pg_namespace AS n ON n.nspname = wanted.schema::name
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = wanted.name::name
