"""dlt's SQL from dltdoctor is the SQL that dlt itself runs, for its own version and for what others left."""

import base64
import json
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from dltdoctor.errors import RefusedError
from dltdoctor.snapshot import Column, Package, Pipeline, Table
from dltdoctor.world.dlt_merge import (
    TEMPORARY,
    MergeRequest,
    NotGeneratedError,
    complete_load_statement,
    create_statements,
    generate,
    generate_all,
    generate_each,
)
from dltdoctor.world.job_statements import job_statements, same_but_for_temp_names
from dltdoctor.world.schema_documents import (
    local_document,
    package_document,
    plain_document,
    read_stored_document,
)
from tests.captured import world, worlds
from tests.postgres_opened import opened
from tests.worlds import digest_tree, run_pipeline, write_project

STAGING_OPTIMIZED = "SET SCHEMA"
SHOP = """
import os, sys, dlt

batch = int(sys.argv[1])
rows = [{"id": n, "day": n // 2, "batch": batch} for n in range(batch, batch + 4)]
tree = [row | {"boxes": [{"box": b, "parts": [{"part": b * 2}]} for b in (1, 2)]} for row in rows]
sorts = {"gone": {"hard_delete": True}, "changed": {"dedup_sort": "desc"}}
changes = [row | {"gone": row["id"] == 3, "changed": n, "notes": [{"n": n}]} for row in rows for n in (2, 1)]


def merged(name, rows, strategy="delete-insert", **hints):
    disposition = {"disposition": "merge", "strategy": strategy}
    return dlt.resource(rows, name=name, write_disposition=disposition, **hints)


for strategy in ("insert-from-staging", "staging-optimized"):
    name = strategy.replace("-", "_")
    postgres = dlt.destinations.postgres(replace_strategy=strategy)
    pipeline = dlt.pipeline(name, destination=postgres, dataset_name=name)
    pipeline.run(tree, table_name="articles", write_disposition="replace")

pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
pipeline.run([
    merged("orders", tree, primary_key="id"),
    merged("flat", rows, primary_key="id"),
    merged("composite", tree, primary_key=["id", "day"]),
    merged("by_day", tree, merge_key="day"),
    merged("both", tree, primary_key="id", merge_key="day"),
    merged("keyless", tree),
    merged("changes", changes, primary_key="id", columns=sorts),
    merged("products", tree, "upsert", primary_key="id"),
    merged("removals", [row | {"gone": row["id"] == 3} for row in tree], "upsert", primary_key="id",
           columns={"gone": {"hard_delete": True}}),
    merged("visits", tree, "insert-only", primary_key="id"),
    merged("addresses", tree, "scd2"),
    merged("prices", tree, "cdc", primary_key="id"),
    dlt.resource(rows, name="events", write_disposition="append"),
])
"""
DATASETS = {"shop": 12, "insert_from_staging": 1, "staging_optimized": 1}
# dlt's own merge fails under these names: it does not quote its temporary tables (FM-08)
ODD = ["Order-Lines", "注文 明細", "half; off", "select", "UPPER", "x" * 40]
ODD_NAMES = """
import sys, dlt

names = {names!r}


@dlt.source(name="odd")
def odd():
    for name in names:
        rows = [{{"Id": n, "Größe %s": page, "Weg": False, "Kinder": [{{"N": n}}]}} for page in (int(sys.argv[1]),) for n in (page, page + 1)]
        columns = {{"Größe %s": {{"dedup_sort": "desc"}}, "Weg": {{"hard_delete": True}}}}
        yield dlt.resource(rows, name=name, primary_key="Id", write_disposition="merge", columns=columns)


dlt.pipeline("odd", destination="postgres", dataset_name="My-Data").run(odd())
"""


def real_load(database, tmp_path, script, *arguments, **env):
    write_project(tmp_path / "project", database, {"load.py": script})
    done = run_pipeline("load.py", *arguments, project=tmp_path / "project", data_dir=tmp_path / "data", env=env)
    return done, tmp_path / "data" / "pipelines"


def packages_with_jobs(pipelines_dir):
    for path in sorted(Path(pipelines_dir).rglob("*.sql")):
        yield path, Package(load_id=path.parts[-3], schema_name="", stage="loaded", path=str(path.parent.parent))


def request_of(path, package, final, staging):
    optimized = STAGING_OPTIMIZED in path.read_text(encoding="utf-8")
    return MergeRequest(
        document=package_document(package),
        root=path.name.split(".", maxsplit=1)[0],
        final=final,
        staging=staging,
        load_id=package.load_id,
        replace_strategy="staging-optimized" if optimized else "insert-from-staging",
    )


def requests_of(pipelines_dir, final, staging):
    return {str(p): request_of(p, package, final, staging) for p, package in packages_with_jobs(pipelines_dir)}


def contents(connection, *schemas):
    tables = connection.execute(
        "SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables WHERE schemaname = ANY (%s) ORDER BY 1",
        [list(schemas)],
    ).fetchall()
    return {name: rows_of(connection, name) for (name,) in tables}


def rows_of(connection, name):
    return sorted(map(repr, connection.execute(f"SELECT to_jsonb(t) FROM {name} t".encode()).fetchall()))


def effect(connection, statements, *schemas, before=()):
    """What the tables hold after the statements, which are taken back."""
    with connection.transaction(force_rollback=True):
        for statement in (*before, *statements):
            connection.execute(statement.encode())
        return contents(connection, *schemas)


# ---------------------------------------------------------------------------- what dlt itself ran


def test_the_statements_that_dlt_itself_executed(database, tmp_path):
    for batch in "12":
        done, pipelines_dir = real_load(database, tmp_path, SHOP, batch)
        assert done.returncode == 0, done.stdout
    requests = {}
    for dataset, chains in DATASETS.items():
        found = requests_of(pipelines_dir / dataset, dataset, f"{dataset}_staging")
        assert len(found) == 2 * chains
        requests |= found
    for (path, request), generated in zip(requests.items(), generate_all(list(requests.values())), strict=True):
        executed = job_statements(path, final=request.final, staging=request.staging)
        assert same_but_for_temp_names(generated, executed), (generated, executed)
        assert not any("\n" in s or s.endswith(";") for s in generated)
    assert generate_all(list(requests.values())) == generate_all(list(requests.values())), "plans are compared"


def captured_requests(captured, place):
    """The jobs of the newest load that has any, by path."""
    files = captured.unpack(place)
    requests = requests_of(files.pipelines_dir, captured.dataset, captured.staging)
    last = max((request.load_id for request in requests.values()), default=None)
    return {path: request for path, request in requests.items() if request.load_id == last}


def test_every_captured_replace(tmp_path):
    chosen = [
        w for w in worlds() if w.world in ("healthy-replace-insert-from-staging", "healthy-replace-staging-optimized")
    ]
    requests = {p: r for w in chosen for p, r in captured_requests(w, tmp_path / w.version / w.world).items()}
    assert len(requests) == len(chosen) == 8
    for (path, request), generated in zip(requests.items(), generate_all(list(requests.values())), strict=True):
        executed = job_statements(path, final=request.final, staging=request.staging)
        assert same_but_for_temp_names(generated, executed)


@pytest.mark.parametrize("name", ["stranded-merge", "healthy-merge"])
def test_captured_merges_leave_what_their_own_jobs_leave(name, database, tmp_path):
    of_world = [(w, captured_requests(w, tmp_path / w.version)) for w in worlds() if w.world == name]
    of_world = [(w, requests) for w, requests in of_world if requests]  # from 1.30 on what is stranded has no job left
    assert len(of_world) >= 8
    answers = iter(generate_all([request for _, requests in of_world for request in requests.values()]))
    with psycopg.connect(database) as connection:
        for captured, requests in of_world:
            with connection.transaction(force_rollback=True):
                captured.restore_into(connection)
                connection.execute("RESET ALL")
                for path, request in requests.items():
                    compare_effects(connection, captured, path, request, next(answers))


def compare_effects(connection, captured, path, request, generated):
    executed = job_statements(path, final=request.final, staging=request.staging)
    ours = effect(connection, generated, request.final)
    assert ours == effect(connection, executed, request.final), path
    empty = [f"DELETE FROM {table}" for table in ours if "_dlt_" not in table]
    of_empty = [effect(connection, each, request.final, before=empty) for each in (generated, executed)]
    assert of_empty[0] == of_empty[1], path
    if captured.version == "1.28.1" and request.root not in ("addresses", "customers"):
        assert same_but_for_temp_names(generated, executed)  # those two differ in brackets and order


def test_stranded_rows_arrive(database, tmp_path):
    captured = world("1.28.1", "stranded-merge")
    captured.restore(database)
    files = captured.unpack(tmp_path)
    path, package = next((p, k) for p, k in packages_with_jobs(files.pipelines_dir) if p.parent.name == "failed_jobs")
    request = request_of(path, package, captured.dataset, captured.staging)
    copies = [f"CREATE TEMP TABLE {t} AS SELECT * FROM shop_staging.{t}" for t in ("orders", "orders__items")]
    copied = generate(
        MergeRequest(**{f: getattr(request, f) for f in request.__struct_fields__} | {"staging": TEMPORARY})
    )
    with psycopg.connect(database) as connection:
        before = contents(connection, "shop")
        after = effect(connection, generate(request), "shop")
        assert effect(connection, copied, "shop", before=copies) == after
        staged = rows_of(connection, "shop_staging.orders")
        assert not set(staged) <= set(before["shop.orders"])
        assert set(staged) <= set(after["shop.orders"])
        assert len(after["shop.orders"]) > len(before["shop.orders"])
        done = complete_load_statement("shop", package.load_id, "sales", "hash'; DROP TABLE x; --")
        loads = effect(connection, [done], "shop")["shop._dlt_loads"]
        assert len(loads) == len(before["shop._dlt_loads"]) + 1
        (added,) = set(loads) - set(before["shop._dlt_loads"])
        assert package.load_id in added
        assert "'status': 0" in added


# ------------------------------------------------------------------------------------------ names


def test_names_that_need_quotes(database, tmp_path):
    script = ODD_NAMES.format(names=ODD)
    done, pipelines_dir = real_load(
        database, tmp_path, script, "1", SCHEMA__NAMING="direct", ENABLE_DATASET_NAME_NORMALIZATION="false"
    )
    assert "syntax error" in done.stdout, done.stdout
    document = local_document(Pipeline(name="odd", working_dir=str(pipelines_dir / "odd")), "odd")
    load_id = next((pipelines_dir / "odd" / "load" / "normalized").iterdir()).name
    requests = [
        MergeRequest(document=document, root=name, final="My-Data", staging="My-Data_staging", load_id=load_id)
        for name in ODD
    ]
    with psycopg.connect(database) as connection:
        for statement in (s for statements in generate_all(requests) for s in statements):
            connection.execute(statement.encode())
        for name in ODD:
            for table in (name, f"{name}▶Kinder"):
                quoted = '"' + table.replace('"', '""') + '"'
                staged = rows_of(connection, f'"My-Data_staging".{quoted}')
                assert staged
                assert rows_of(connection, f'"My-Data".{quoted}') == staged


ODD_SCHEMAS = ['We"ird %s "" Schema', "UPPER", "数据集", "100%", "dltdoctor0_final"]


def test_worlds_without_dlt_keep_what_was_not_staged(database):
    key, table, value = '"the ""Key"', '"注文 %s"', '"Größe"'
    columns = (
        Column(name='the "Key', type="bigint", not_null=True),
        Column(name="Größe", type="numeric(10,2)", not_null=False),
    )
    staged = Table(schema="staged", name="注文 %s", columns=columns)
    document = plain_document([staged], {staged.name: ('the "Key',)})
    requests = [
        MergeRequest(document=document, root=staged.name, final=name, staging=f"{name} (staged)", load_id="none")
        for name in ODD_SCHEMAS
    ]
    with psycopg.connect(database) as connection:
        for request, statements in zip(requests, generate_all(requests), strict=True):
            final, staging = (sql.Identifier(name).as_string() for name in (request.final, request.staging))
            for name, more in ((final, ", kept text"), (staging, "")):
                connection.execute(f"CREATE SCHEMA {name}".encode())
                created = f"CREATE TABLE {name}.{table} ({key} bigint PRIMARY KEY, {value} numeric(10,2){more})"
                connection.execute(created.encode())
            connection.execute(f"INSERT INTO {final}.{table} VALUES (1, 1, 'a'), (2, 2, 'b')".encode())
            connection.execute(f"INSERT INTO {staging}.{table} VALUES (2, 2.5), (3, 3.5)".encode())
            for statement in statements:
                connection.execute(statement.encode())
            rows = connection.execute(f"SELECT t::text FROM {final}.{table} t ORDER BY 1".encode()).fetchall()
            assert rows == [("(1,1.00,a)",), ("(2,2.50,b)",), ("(3,3.50,)",)]
        (created,) = create_statements(document, [staged.name], 'else"where %s')
        connection.execute('CREATE SCHEMA "else""where %s"')
        connection.execute(created.encode())
        assert connection.execute(f'SELECT * FROM "else""where %s".{table}'.encode()).fetchall() == []


def test_plain_tables_need_a_key():
    table = Table(schema="s", name="t", columns=(Column(name="a", type="text", not_null=False),))
    for keys in ({}, {"t": ()}, {"t": ("b",)}):
        with pytest.raises(RefusedError, match=r"s\.t has no"):
            plain_document([table], keys)


TYPES = {
    "smallint": "smallint",
    "integer": "integer",
    "bigint": "bigint",
    "double precision": "double precision",
    "numeric(12,3)": "numeric(12,3)",
    "boolean": "boolean",
    "bytea": "bytea",
    "jsonb": "jsonb",
    "date": "date",
    "character varying": "character varying",
    "character varying(40)": "character varying(40)",
    "timestamp with time zone": "timestamp with time zone",
    "timestamp without time zone": "timestamp without time zone",
    "timestamp(3) with time zone": "timestamp(3) with time zone",
    "time without time zone": "time without time zone",
    "text": "character varying",
    "uuid": "character varying",
    "text[]": "character varying",
}


def test_types_of_plain_tables_come_back(database):
    columns = [Column(name=f"c{n}", type=name, not_null=n == 0) for n, name in enumerate(TYPES)]
    document = plain_document([Table(schema="s", name="t", columns=tuple(columns))], {"t": ("c0",)})
    with psycopg.connect(database) as connection:
        connection.execute("CREATE SCHEMA s")
        connection.execute(create_statements(document, ["t"], "s")[0].encode())
        query = (
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 's.t'::regclass AND attnum > 0"
        )
        assert [name for (name,) in connection.execute(query)] == list(TYPES.values())


# ------------------------------------------------------------------------- what goes with a merge


def test_tables_are_created_as_dlt_creates_them(database, tmp_path):
    captured = world("1.31.0", "healthy-merge")
    captured.restore(database)
    files = captured.unpack(tmp_path)
    document = local_document(Pipeline(name="shop", working_dir=str(files.pipelines_dir / "shop")), "shop")
    query = """
        SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull,
               (SELECT count(*) FROM pg_index WHERE indrelid = c.oid AND attnum = ANY (indkey) AND indisunique)
        FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
        WHERE relnamespace = %s::regnamespace AND relkind = 'r' AND attnum > 0 ORDER BY relname, attnum"""
    with psycopg.connect(database) as connection:
        tables = [n for (n,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'shop'")]
        connection.execute("CREATE SCHEMA twin")
        for statement in create_statements(document, tables, "twin"):
            connection.execute(statement.encode())
        assert connection.execute(query, ["twin"]).fetchall() == connection.execute(query, ["shop"]).fetchall()


def test_the_row_of_a_load_in_the_columns_that_are_there():
    statement = complete_load_statement('o"dd', "1.5", None, "h", columns=["load_id", "STATUS", "inserted_at", "more"])
    assert (
        statement == """INSERT INTO "o""dd"."_dlt_loads"("load_id", "STATUS", "inserted_at") VALUES('1.5', 0, now())"""
    )


@pytest.mark.parametrize("packed", [False, True])
def test_the_schema_that_the_destination_stores(database, packed):
    captured = world("1.31.0", "healthy-merge")
    captured.restore(database)
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT version_hash, schema FROM shop._dlt_version ORDER BY inserted_at").fetchall()
        if packed:
            for version_hash, text in rows:
                small = base64.b64encode(zlib.compress(text.encode())).decode()
                connection.execute(
                    "UPDATE shop._dlt_version SET schema = %s WHERE version_hash = %s", [small, version_hash]
                )
    with opened(database) as session:
        assert read_stored_document(session, "shop", "shop") == json.loads(rows[-1][1])
        for version_hash, text in rows:
            assert read_stored_document(session, "shop", "shop", version_hash) == json.loads(text)
        assert read_stored_document(session, "shop", "o'ther") is None


# --------------------------------------------------------------------------------- what is refused


def sales_document(tmp_path):
    files = world("1.31.0", "resumable-merge").unpack(tmp_path)
    return local_document(Pipeline(name="sales", working_dir=str(files.pipelines_dir / "sales")), "sales")


def test_what_dlt_has_no_sql_for(tmp_path):
    document = sales_document(tmp_path)
    good = {"document": document, "root": "orders", "final": "shop", "staging": "shop_staging", "load_id": "1.5"}
    tables = document["tables"]
    filtered = tables | {"orders": tables["orders"] | {"x-merge-source-filter": "1 = 1); DROP TABLE x; SELECT (1"}}
    appended = tables | {"orders": tables["orders"] | {"write_disposition": "append"}}
    requests = [
        MergeRequest(**good | {"root": "nothing"}),
        MergeRequest(**good | {"staging": "shop"}),
        MergeRequest(**good | {"staging": TEMPORARY, "replace_strategy": "staging-optimized"}),
        MergeRequest(**good | {"document": document | {"engine_version": 99}}),
        MergeRequest(**good | {"document": {}}),
        MergeRequest(**good | {"document": document | {"tables": appended}}),
        MergeRequest(**good | {"document": document | {"tables": filtered}}),
        MergeRequest(**good),
    ]
    *refused, fine = generate_each(requests)
    assert isinstance(fine, tuple)
    for error in refused:
        assert isinstance(error, NotGeneratedError)
        assert "\n" not in error.message
    with pytest.raises(NotGeneratedError, match="no table nothing"):
        generate_all(requests)
    with pytest.raises(NotGeneratedError, match="dlt could not be asked"):
        generate(requests[-1], python=shutil.which("false"))
    assert generate_each([]) == ()


def test_an_author_s_own_sql_stays_in_the_merge(tmp_path):
    document = sales_document(tmp_path)
    orders = document["tables"]["orders"] | {"x-merge-source-filter": "coalesce(length(note), 1) > 0"}
    document = document | {"tables": document["tables"] | {"orders": orders}}
    statements = generate(MergeRequest(document=document, root="orders", final="f", staging="s", load_id="1.5"))
    assert "coalesce(length(note), 1) > 0" in statements[0]


def test_nested_tables_that_are_not_there_are_left_out(tmp_path):
    request = MergeRequest(
        document=sales_document(tmp_path), root="orders", final="f", staging="s", load_id="1.5", tables=("orders",)
    )
    assert not any("orders__items" in s for s in generate(request))


# --------------------------------------------------------------------------- a process of its own


def test_the_user_s_settings_neither_interfere_nor_change(tmp_path, monkeypatch, clean_machine):
    document = sales_document(tmp_path)
    request = MergeRequest(document=document, root="orders", final="shop", staging="shop_staging", load_id="1.5")
    expected = generate(request)
    settings = (
        '[schema]\nnaming = "direct"\n[destination.postgres]\nstaging_dataset_name_layout = "%s"\ncreate_indexes = 1\n'
    )
    for place in (clean_machine, clean_machine / "cwd"):
        (place / ".dlt").mkdir(parents=True)
        (place / ".dlt" / "config.toml").write_text(settings)
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", "nonsense")
    monkeypatch.setenv("SCHEMA__NAMING", "nonsense")
    monkeypatch.setenv("DLT_PROJECT_DIR", str(clean_machine))
    before = digest_tree(clean_machine)
    assert generate(request) == expected
    assert digest_tree(clean_machine) == before


def test_dlt_is_not_imported_here():
    code = "import sys; import dltdoctor.world.dlt_merge, dltdoctor.world.schema_documents; assert 'dlt' not in sys.modules"
    root = Path(__file__).parent.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_psycopg2_is_not_needed(tmp_path, monkeypatch):
    request = MergeRequest(document=sales_document(tmp_path), root="orders", final="f", staging="s", load_id="1.5")
    expected = generate(request)
    blocked = tmp_path / "python"
    blocked.write_text(
        f"#!{sys.executable}\n"
        "import importlib.util as u, runpy, sys\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'psycopg2' else find(name, *rest)\n"
        "runpy.run_module(sys.argv[2], run_name='__main__')\n"
    )
    blocked.chmod(0o755)
    assert generate(request, python=str(blocked)) == expected
