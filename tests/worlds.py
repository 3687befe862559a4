"""Real worlds for tests: projects whose scripts real dlt runs, and digests that show every change."""

import hashlib
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from dltdoctor.demo.stage import Login, run_script, script_environment

SCHEMAS = sql.SQL("(SELECT oid FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname !~ '^pg_')")
CATALOG = {
    "schemas": """
        SELECT nspname, nspowner::regrole::text, nspacl::text FROM pg_namespace WHERE oid IN {schemas}""",
    "relations": """
        SELECT oid::regclass::text, relkind::text, relpersistence::text, relowner::regrole::text,
               relacl::text, CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END
        FROM pg_class WHERE relnamespace IN {schemas}""",
    "columns": """
        SELECT attrelid::regclass::text, attnum, attname, format_type(atttypid, atttypmod), attnotnull,
               attacl::text, pg_get_expr(adbin, adrelid)
        FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE relnamespace IN {schemas} AND attnum > 0 AND NOT attisdropped""",
    "indexes": """
        SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid)
        FROM pg_index JOIN pg_class c ON c.oid = indrelid WHERE relnamespace IN {schemas}""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace IN {schemas}""",
    "functions": """
        SELECT oid::regprocedure::text, md5(pg_get_functiondef(oid))
        FROM pg_proc WHERE pronamespace IN {schemas} AND prokind <> 'a'""",
    "sequences": """
        SELECT seqrelid::regclass::text, pg_sequence_last_value(seqrelid)
        FROM pg_sequence JOIN pg_class c ON c.oid = seqrelid WHERE relnamespace IN {schemas}""",
}
TABLES = """
    SELECT nspname, relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relnamespace IN {schemas} AND relkind IN ('r', 'p', 'm')"""

TreeDigest = dict[str, tuple[int, int, str]]
DatabaseDigest = dict[str, list[str]]


def write_project(project: Path, dsn: str, files: Mapping[str, str]) -> None:
    """Write a project's files, with a `.dlt/secrets.toml` that leads to the database."""
    parts = conninfo_to_dict(dsn)
    text = {name: str(parts.get(name) or "") for name in ("host", "dbname", "user", "password")}
    port = int(parts.get("port") or 5432)
    login = Login(text["host"], port, text["dbname"], text["user"], text["password"])
    for name, content in {".dlt/secrets.toml": login.toml, **files}.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def run_pipeline(
    script: str,
    *arguments: str,
    project: Path,
    data_dir: Path,
    env: Mapping[str, str] | None = None,
    python: str = sys.executable,
) -> CompletedProcess[str]:
    """Run a script of the project with real dlt, which keeps its pipelines in `data_dir`/pipelines.

    `env` is added to an environment without any setting of dlt. `python` may be that of another
    environment with another version of dlt. stdout holds stderr, too.
    """
    home = data_dir / "home"
    home.mkdir(parents=True, exist_ok=True)
    environ = script_environment(home=home, data_dir=data_dir) | dict(env or {})
    return run_script(script, *arguments, project=project, environ=environ, python=python)


def digest_tree(directory: Path) -> TreeDigest:
    """Mode, mtime (ns) and content of everything below a directory and of itself, by relative path."""
    return {
        str(path.relative_to(directory)): (path.lstat().st_mode, path.lstat().st_mtime_ns, _content(path))
        for path in (directory, *sorted(directory.rglob("*")))
    }


def digest_database(dsn: str) -> DatabaseDigest:
    """The catalog of all user schemas and, by table, every row as text; all in a fixed order."""
    with psycopg.connect(dsn) as connection:
        digest = {area: _lines(connection, sql.SQL(query).format(schemas=SCHEMAS)) for area, query in CATALOG.items()}
        tables = connection.execute(sql.SQL(TABLES).format(schemas=SCHEMAS)).fetchall()
        for schema, table in tables:
            query = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(schema, table))
            digest[f"rows of {schema}.{table}"] = _lines(connection, query)
    return digest


def _lines(connection: psycopg.Connection, query: sql.Composed) -> list[str]:
    return sorted(repr(row) for row in connection.execute(query))


def _content(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return str(path.readlink())
    return hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(mode) else ""
