"""dlt writes its own SQL, in a process of its own: requests on stdin, statements on stdout, as JSON.

Runs with every dlt since 1.0 and needs nothing but it and the standard library, so that the interpreter
of a project can run it. It opens no connection and no file. `dlt_merge` starts it and says what it sees.
"""

import contextlib
import importlib
import importlib.util
import json
import os
import re
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

Document = dict[str, Any]

_PLAIN = re.compile(r"[a-z_][a-z0-9_]{0,30}")


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a plugin of dlt prints must not get between the answers
    if hasattr(os, "geteuid"):
        os.geteuid = lambda: 1000  # for root dlt would read /var/dlt/config.toml, whatever HOME is
    _stand_in_for_psycopg2()
    with contextlib.suppress(ImportError):
        importlib.import_module("dlt.destinations.sql_jobs")  # while whoever asks is still busy with the question
    requests = json.load(sys.stdin)
    json.dump([_answer(request) for request in requests], answers)
    answers.close()


def _answer(request: Document) -> Document:
    kinds: dict[str, Callable[[Document], list[str]]] = {
        "merge": merge_statements,
        "create": create_statements,
        "add": add_statements,
    }
    try:
        return {"statements": kinds[request["kind"]](request)}
    except Exception as error:  # noqa: BLE001 - dlt may raise anything; the caller tells its reader
        reason = (str(error).strip().splitlines() or [""])[0]
        return {"error": f"{type(error).__name__}: {reason}"}


def merge_statements(request: Document) -> list[str]:
    """The statements that bring the staged rows of a chain to the final tables."""
    from dlt.common.pendulum import pendulum  # noqa: PLC0415 - dlt needs what main() arranges first
    from dlt.destinations import sql_jobs  # noqa: PLC0415

    client = _client(request)
    chain = list(_chain(client, request))
    root = chain[0]
    disposition = root["write_disposition"]
    if disposition == "replace":
        return _replace_statements(chain, client, request["replace_strategy"])
    if disposition != "merge":
        raise ValueError(f"dlt does not stage rows of a table with write disposition {disposition}")

    def package() -> Document:
        created_at = root.get("x-boundary-timestamp") or pendulum.from_timestamp(float(request["load_id"]))
        return {"state": {"created_at": created_at}}

    # until 1.20 dlt asks for the load package even where the table has a boundary of its own
    sql_jobs.current_load_package = package
    job = _merge_job(request["suffix"], root, client.sql_client.escape_column_name)
    statements: list[str] = job.generate_sql(chain, client.sql_client)
    return statements


def create_statements(request: Document) -> list[str]:
    """CREATE TABLE of each table as dlt would create it."""
    client = _client(request)
    statements = []
    for name in request["tables"]:
        columns = client._create_table_update(name, {})  # noqa: SLF001 - there is no public way
        statements += client._get_table_update_sql(name, columns, False)  # noqa: SLF001
    return statements


def add_statements(request: Document) -> list[str]:
    """ALTER TABLE with the columns as dlt would add them; `loosened` without NOT NULL."""
    client = _client(request)
    known = client.schema.get_table_columns(request["table"])
    added = [dict(known[name], **({"nullable": True} if request["loosened"] else {})) for name in request["columns"]]
    statements: list[str] = client._get_table_update_sql(request["table"], added, True)  # noqa: SLF001
    return statements


def _client(request: Document) -> Any:
    """The Postgres client of dlt for the schema; it does not connect."""
    from dlt.common.schema import Schema  # noqa: PLC0415
    from dlt.destinations import postgres  # noqa: PLC0415

    schema = Schema.from_dict(request["document"])
    destination = postgres(
        credentials="postgresql://nobody:nothing@localhost/nothing",
        staging_dataset_name_layout=request["staging"],
        enable_dataset_name_normalization=False,
        create_indexes=request["create_indexes"],
    )
    # the dataset's name must not depend on the schema's
    configuration = destination.spec()._bind_dataset_name(request["final"], schema.name)  # noqa: SLF001
    return destination.client(schema, configuration)


def _chain(client: Any, request: Document) -> Iterator[Document]:
    """The tables that dlt's loader would put into the merge: those that have ever seen data."""
    from dlt.common.schema.utils import get_nested_tables, has_table_seen_data  # noqa: PLC0415

    root, wanted = request["root"], request["tables"]
    tables = client.schema.tables
    if root not in tables:
        raise ValueError(f"the schema has no table {root}")
    for table in get_nested_tables(tables, root):
        name = table["name"]
        if name == root or (has_table_seen_data(table) and (wanted is None or name in wanted)):
            yield client.prepare_load_table(name)


def _replace_statements(chain: list[Document], client: Any, strategy: str) -> list[str]:
    from dlt.destinations import sql_jobs  # noqa: PLC0415
    from dlt.destinations.impl.postgres import postgres  # noqa: PLC0415

    chain[0]["x-replace-strategy"] = strategy
    modules, names = (postgres, ("PostgresStagingReplaceJob", "PostgresStagingCopyJob"))
    if strategy == "insert-from-staging":
        modules, names = sql_jobs, ("SqlStagingReplaceFollowupJob", "SqlStagingCopyFollowupJob")
    job, arguments = getattr(modules, names[0], None), ()
    if job is None:  # before 1.7 one class did both, told apart by a parameter
        job, arguments = getattr(modules, names[1]), ({"replace": True},)  # type: ignore[assignment]
    statements: list[str] = job.generate_sql(chain, client.sql_client, *arguments)
    return statements


def _merge_job(suffix: str, root: Document, escape: Callable[[str], str]) -> Any:
    """The generator of dlt, with names that are right whatever they hold.

    Temporary tables, which dlt names unquoted after the table and with a random part, get names that
    need no quotes and are the same each time. The columns of dedup_sort (until 1.27) and of hard_delete,
    which it writes unquoted when it removes duplicates, are quoted.
    """
    from dlt.destinations.sql_jobs import SqlMergeFollowupJob  # noqa: PLC0415

    def quote(column: str) -> str:
        return escape(column) if column in root["columns"] else column

    class MergeJob(SqlMergeFollowupJob):  # type: ignore[misc]
        @classmethod
        def _new_temp_table_name(cls, *arguments: Any) -> str:
            # (table, "delete", client), and before 1.7 ("delete_" + table, client)
            *names, _client = arguments
            if len(names) == 1:
                names = names[0].split("_", 1)[::-1]
            table, what = names
            name = f"{what}_{suffix}"
            return f"{table}_{name}" if _PLAIN.fullmatch(table) else name

        @classmethod
        def gen_select_from_dedup_sql(
            cls,
            table_name: str,
            primary_keys: Any,
            columns: Any,
            dedup_sort: Any = None,
            condition: Any = None,
            condition_columns: Any = None,
            *more: Any,
            **named: Any,
        ) -> Any:
            if dedup_sort:
                dedup_sort = (quote(dedup_sort[0]), dedup_sort[1])
            if condition_columns:
                condition_columns = [quote(column) for column in condition_columns]
            return super().gen_select_from_dedup_sql(
                table_name, primary_keys, columns, dedup_sort, condition, condition_columns, *more, **named
            )

    return MergeJob


def _stand_in_for_psycopg2() -> None:
    """What dlt's client imports only to connect; dltdoctor itself does not need it."""
    if importlib.util.find_spec("psycopg2"):
        return
    for name in ("psycopg2", "psycopg2.sql", "psycopg2.errors", "psycopg2.extensions"):
        module = types.ModuleType(name)
        module.__getattr__ = _any_class  # type: ignore[method-assign]
        sys.modules[name] = module


def _any_class(name: str) -> type:
    if name.startswith("_"):
        raise AttributeError(name)
    return type(name, (Exception,), {})


if __name__ == "__main__":
    main()
