SELECT DISTINCT ON (v.schema_name) {part}, v.schema_name, v.version, v.engine_version, v.version_hash, v.content
FROM (SELECT t.schema_name::text AS schema_name, {version} AS version, {engine_version} AS engine_version,
             {version_hash} AS version_hash, {content} AS content, {inserted_at} AS inserted_at
      FROM {table} AS t WHERE t.schema_name IS NOT NULL) AS v
ORDER BY v.schema_name, v.inserted_at DESC NULLS LAST, v.version DESC NULLS LAST
