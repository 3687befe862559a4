-- Much cheaper to plan than the list of keys, which is asked for only where there is one.
SELECT {part}, count(*) - count(DISTINCT {columns})
FROM {table} AS t
WHERE {counted}
HAVING count(*) > count(DISTINCT {columns})
