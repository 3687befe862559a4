SELECT {load_id} AS load_id{columns}
FROM {source}
WHERE {kept}
