SELECT DISTINCT vn.nspname::text, v.relname::text, tn.nspname::text, t.relname::text
FROM pg_class AS v
JOIN pg_namespace AS vn ON vn.oid = v.relnamespace
JOIN pg_rewrite AS r ON r.ev_class = v.oid
JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                   AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid
JOIN pg_class AS t ON t.oid = d.refobjid AND t.relkind IN ('r', 'p', 'v', 'm', 'f')
JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
WHERE v.relkind IN ('v', 'm') AND vn.nspname !~ '^pg_' AND vn.nspname <> 'information_schema'
ORDER BY 1, 2, 3, 4
