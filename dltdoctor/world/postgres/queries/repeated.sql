SELECT {part}, count(*), NULL::text, (sum(d.number) - count(*))::bigint
FROM (SELECT count(*) AS number FROM {table} AS t WHERE {counted} GROUP BY {columns} HAVING count(*) > 1) AS d
HAVING count(*) > 0
