"""Reading one Postgres database in one read-only transaction."""
