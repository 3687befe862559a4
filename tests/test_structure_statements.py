"""dlt's ALTER TABLE, as asked of dlt, and what is not taken for one."""

import pytest

from dltdoctor.world.dlt_merge import NotGeneratedError, add_column_statements
from dltdoctor.world.statement_shapes import ShapeError, check_additions

COLUMNS = {
    "id": {"name": "id", "data_type": "bigint", "nullable": False, "primary_key": True},
    "amount": {"name": "amount", "data_type": "decimal", "precision": 10, "scale": 2},
    "at": {"name": "at", "data_type": "timestamp", "precision": 3, "timezone": False},
    "code": {"name": "code", "data_type": "text", "precision": 7},
    "_dlt_id": {"name": "_dlt_id", "data_type": "text", "nullable": False, "unique": True, "row_key": True},
    'o"dd %s': {"name": 'o"dd %s', "data_type": "json"},
}
DOCUMENT = {
    "version": 1,
    "version_hash": "",
    "engine_version": 11,
    "name": "shop",
    "tables": {
        "_dlt_version": {"name": "_dlt_version", "write_disposition": "skip", "columns": {}},
        "_dlt_loads": {"name": "_dlt_loads", "write_disposition": "skip", "columns": {}},
        "orders": {"name": "orders", "write_disposition": "merge", "columns": COLUMNS},
    },
    "settings": {},
    "normalizers": {"names": "direct", "json": {"module": "dlt.common.normalizers.json.relational"}},
    "previous_hashes": [],
}


def _added(*columns: str, loosened: bool = False, create_indexes: bool = True) -> str:
    place = ('Sh"op', "orders")
    (statement,) = add_column_statements(DOCUMENT, place, columns, loosened=loosened, create_indexes=create_indexes)
    return " ".join(statement.split())


def test_columns_are_added_as_dlt_writes_them() -> None:
    assert _added("amount", "at", "code", "_dlt_id") == (
        'ALTER TABLE "Sh""op"."orders" ADD COLUMN "amount" numeric(10,2) , ADD COLUMN "at" timestamp (3) without time zone'
        ' , ADD COLUMN "code" varchar(7) , ADD COLUMN "_dlt_id" varchar UNIQUE NOT NULL'
    )
    assert _added("_dlt_id", create_indexes=False) == (
        'ALTER TABLE "Sh""op"."orders" ADD COLUMN "_dlt_id" varchar NOT NULL'
    )
    assert _added("id", loosened=True) == 'ALTER TABLE "Sh""op"."orders" ADD COLUMN "id" bigint'
    assert _added('o"dd %s') == 'ALTER TABLE "Sh""op"."orders" ADD COLUMN "o""dd %s" jsonb'


def test_a_column_that_dlt_does_not_know() -> None:
    with pytest.raises(NotGeneratedError, match=r"dlt cannot add nothing to shop\.orders"):
        add_column_statements(DOCUMENT, ("shop", "orders"), ["nothing"])


@pytest.mark.parametrize(
    "statement",
    [
        'ALTER TABLE "shop"."orders" DROP COLUMN "amount"',
        'ALTER TABLE "shop"."orders" ADD COLUMN "a" text, DROP COLUMN "amount"',
        'ALTER TABLE "shop"."orders" ADD COLUMN "a" text, ADD COLUMN "b" text',
        'ALTER TABLE "other"."orders" ADD COLUMN "a" text',
        'ALTER TABLE "shop"."orders" ADD COLUMN "a" text; DROP TABLE "shop"."orders"',
        'CREATE TABLE "shop"."orders" ("a" text)',
    ],
)
def test_what_is_no_new_column(statement: str) -> None:
    with pytest.raises(ShapeError):
        check_additions([statement], "shop", 1)
