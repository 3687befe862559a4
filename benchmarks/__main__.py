"""`python -m benchmarks`: measures everything on a throw-away Postgres and prints one table."""

import argparse
import contextlib
import datetime as dt
import importlib.metadata
import os
import platform
import sys
from pathlib import Path

import psycopg

from benchmarks.figures import Figure, table
from benchmarks.suite import FULL, QUICK, measure
from dltdoctor.demo.server import start_server

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
DISTRIBUTIONS = ("dltdoctor", "dlt", "psycopg", "SQLAlchemy")


def main() -> int:
    """0 when every bound is kept, else 1; a quick run measures nothing that could be judged."""
    options = _options()
    figures: list[Figure] = []
    with contextlib.ExitStack() as stack:
        dsn = options.dsn or stack.enter_context(start_server()).admin_dsn
        server = _server_version(dsn)
        for figure in measure(dsn, QUICK if options.quick else FULL, _say):
            figures.append(figure)
            _say("  " + " | ".join(figure.cells))
    report = f"{_about(options.quick, server)}\n{table(figures)}"
    sys.stdout.write(report)
    if options.write:
        _write(report)
    return int(not options.quick and not all(figure.is_met for figure in figures))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--dsn", help="a superuser's DSN of a server to use instead; all that is made is removed")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one round: does it still run?")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    return parser.parse_args()


def _about(quick: bool, server: str) -> str:  # noqa: FBT001 - as given on the command line
    versions = [f"{name} {importlib.metadata.version(name)}" for name in DISTRIBUTIONS]
    machine = [f"Python {platform.python_version()}", f"Postgres {server}", f"{os.cpu_count()} CPUs", platform.system()]
    today = dt.datetime.now(dt.UTC).date()
    return f"`python -m benchmarks{' --quick' if quick else ''}`, {today}, {', '.join((*versions, *machine))}.\n"


def _server_version(dsn: str) -> str:
    with psycopg.connect(dsn) as connection:
        return connection.info.parameter_status("server_version") or "?"


def _write(report: str) -> None:
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    README.write_text(f"{before}{BEGIN}{report}{END}{after}", encoding="utf-8")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
