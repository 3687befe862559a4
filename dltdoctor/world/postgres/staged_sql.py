"""The statements that read staged rows: how many of each load, and whether a sample has arrived.

They compare inside the server, so that neither rows nor keys travel. `s` is the staging table, `r`
the staging root that a nested row hangs on, `f` the final table, `p` the final row of the same key.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from dltdoctor.snapshot import Table
from dltdoctor.world.postgres.batches import template
from dltdoctor.world.postgres.facts import Key
from dltdoctor.world.postgres.proof import LOAD_ID, PARENT_KEY, ROOT_KEY, ROW_KEY, KeyColumn, Lookup, Proof, column
from dltdoctor.world.requests import StagedTable

MOST_ROWS = 1_000_000
MOST_LOADS = 1_000
MOST_PROVED = 50
SAMPLE = 20

_NO_LOAD = SQL('NULL::text COLLATE "C"')
_NEWER = SQL("coalesce({}.load_id > sample.load_id, false)")
# Of several staged rows of one key dlt keeps one: its key came with this very load.
_SIBLING = SQL("coalesce(p.load_id = sample.load_id, false)")


class Source(NamedTuple):
    """Where a staging table's rows and their load ids come from; `root` when `r` is joined."""

    load_id: Composable
    joins: Composable
    root: Table | None


def source_of(request: StagedTable, tables: Mapping[Key, Table]) -> Source:
    """The load id from the table itself, else from its root by `_dlt_root_id` or `_dlt_parent_id`."""
    chain = [tables.get((request.staging, name)) for name in request.lineage or (request.table,)]
    table = tables[request.staging, request.table]
    if table.has(LOAD_ID):
        return Source(_load_id("s"), SQL(""), None)
    parents = [parent for parent in chain[1:] if parent and parent.readable and parent.has(ROW_KEY)]
    if not parents or len(parents) < len(chain) - 1 or not parents[-1].has(LOAD_ID):
        return Source(_NO_LOAD, SQL(""), None)
    root = parents[-1]
    if table.has(ROOT_KEY):
        return Source(_load_id("r"), _join(root, "r", "s", ROOT_KEY), root)
    if not all(link.has(PARENT_KEY) for link in (table, *parents[:-1])):
        return Source(_NO_LOAD, SQL(""), None)
    aliases = ["s", *(f"p{i}" for i in range(1, len(parents))), "r"]
    joins = [_join(parents[i], aliases[i + 1], aliases[i], PARENT_KEY) for i in range(len(parents))]
    return Source(_load_id("r"), SQL(" ").join(joins), root)


def counts(part: int, request: StagedTable, source: Source, *, deep: bool) -> Composed:
    """Rows of each load, the newest loads first."""
    return SQL(template("staged_counts")).format(
        part=Literal(part),
        load_id=source.load_id,
        source=SQL("{} AS s {}").format(Identifier(request.staging, request.table), source.joins),
        most_rows=SQL("ALL") if deep else Literal(MOST_ROWS),
        most_loads=Literal(MOST_LOADS),
    )


def proof_of(
    part: int,
    request: StagedTable,
    tables: Mapping[Key, Table],
    proof: Proof,
    loads: Mapping[str | None, int],
    *,
    deep: bool,
) -> Composed:
    """For each load: rows looked up, arrived, superseded, and which compared columns were lost."""
    source = source_of(request, tables)
    lost = [SQL("sample.{0} AND f.{0}").format(_numbered("c", i)) for i in range(len(proof.compared))]
    found = [SQL("f.found IS TRUE")]
    if proof.strict:
        found.append(SQL("coalesce(f.load_id = sample.load_id, true)"))
    any_lost = SQL(" OR ").join(SQL("({})").format(one) for one in lost)
    arrived = [*found, SQL("NOT ({})").format(any_lost)] if lost else found
    newer = [_NEWER.format(Identifier("f"))] if proof.strict else []
    newer += [_NEWER.format(Identifier("p"))] if proof.by_key else []
    return SQL(template("staged_proof")).format(
        part=Literal(part),
        any_lost=SQL(", ").join(SQL("bool_or(s.{})").format(_numbered("lost", i)) for i in range(len(lost))),
        arrived=SQL("coalesce({}, false)").format(SQL(" AND ").join(arrived))
        + (SQL(" OR ") + _SIBLING if proof.by_key else SQL("")),
        superseded=SQL(" OR ").join(newer) if newer else SQL("false"),
        lost=SQL("").join(
            SQL(", coalesce(f.found IS TRUE AND NOT {} AND {}, false) AS {}").format(
                _NEWER.format(Identifier("f")), one, _numbered("lost", i)
            )
            for i, one in enumerate(lost)
        ),
        sample=_sample(request, tables, source, proof, loads, deep=deep),
        lookups=_lookups(request, tables, proof),
    )


def _sample(
    request: StagedTable,
    tables: Mapping[Key, Table],
    source: Source,
    proof: Proof,
    loads: Mapping[str | None, int],
    *,
    deep: bool,
) -> Composable:
    wanted = [*_picked(proof.lookup, "k")]
    wanted += _picked(proof.by_key, "p") if proof.by_key else []
    wanted += [
        SQL("s.{} IS NOT NULL AS {}").format(Identifier(name), _numbered("c", i))
        for i, name in enumerate(proof.compared)
    ]
    staging = Identifier(request.staging, request.table)
    scan = SQL("{} AS s {}") if deep else SQL("{} AS s TABLESAMPLE SYSTEM (100) {}")
    pieces: dict[str, Composable] = {
        "load_id": source.load_id,
        "columns": SQL("").join(SQL(", {}").format(one) for one in wanted),
        "source": scan.format(staging, source.joins),
        "kept": _kept(request, tables, source),
    }
    if deep or sum(loads.values()) <= SAMPLE:
        return SQL(template("staged_all")).format(**pieces)
    return SQL(template("staged_sample")).format(
        **pieces, masks=_masks(loads), most_rows=Literal(MOST_ROWS), sample=Literal(SAMPLE)
    )


def _masks(loads: Mapping[str | None, int]) -> Composable:
    """Bit masks that let about forty rows of each load through, or all when there are fewer."""
    newest = sorted(loads, key=lambda load_id: load_id or "", reverse=True)[:MOST_PROVED]
    if None in loads and None not in newest:
        newest.append(None)
    return SQL(" ").join(
        SQL("WHEN thinned.load_id IS NOT DISTINCT FROM {} THEN {}").format(
            Literal(load_id), Literal((1 << max(0, (loads[load_id] // (2 * SAMPLE)).bit_length() - 1)) - 1)
        )
        for load_id in newest
    )


def _lookups(request: StagedTable, tables: Mapping[Key, Table], proof: Proof) -> Composable:
    final = tables[request.final, request.table]
    compared = SQL("").join(
        SQL(", f.{} IS NULL AS {}").format(Identifier(name), _numbered("c", i)) for i, name in enumerate(proof.compared)
    )
    load_id = _final_load_id(request, tables, proof)
    joins = [_lookup(proof.lookup, "f", prefix="k", final=final, load_id=load_id, columns=compared)]
    if proof.by_key:
        joins.append(_lookup(proof.by_key, "p", prefix="p", final=final, load_id=load_id, columns=SQL("")))
    return SQL("\n").join(joins)


def _final_load_id(request: StagedTable, tables: Mapping[Key, Table], proof: Proof) -> Composable:
    """A nested final row's load is its root's, which is only looked up where it matters."""
    final = tables[request.final, request.table]
    if final.has(LOAD_ID):
        return _load_id("f")
    root = tables.get((request.final, request.lineage[-1])) if len(request.lineage) > 1 else None
    if not (proof.strict and proof.lookup.each and final.has(ROOT_KEY) and root and root.readable):
        return _NO_LOAD
    if not (root.has(ROW_KEY) and root.has(LOAD_ID) and root.has_row_key_index):
        return _NO_LOAD
    return SQL("(SELECT {} FROM {} AS r WHERE r.{} = f.{} LIMIT 1)").format(
        _load_id("r"), Identifier(root.schema, root.name), Identifier(ROW_KEY), Identifier(ROOT_KEY)
    )


def _lookup(
    lookup: Lookup, alias: str, *, prefix: str, final: Table, load_id: Composable, columns: Composable
) -> Composable:
    there = _expressions(lookup, "f")
    places = [_numbered(prefix, i) for i in range(len(there))]
    here = [
        SQL("sample.{}::text" if key.as_text and not lookup.whole_row else "sample.{}").format(place)
        for key, place in zip(lookup.keys, places, strict=False)
    ]
    pieces: dict[str, Composable] = {
        "load_id": load_id,
        "columns": columns,
        "final": Identifier(final.schema, final.name),
        "alias": Identifier(alias),
    }
    if lookup.each:
        return SQL(template("lookup_each")).format(same_keys=_equal(there, here), **pieces)
    return SQL(template("lookup_all")).format(
        places=SQL(", ").join(Literal(i + 2) for i in range(len(there))),
        keys=SQL(", ").join(SQL("{} AS {}").format(*pair) for pair in zip(there, places, strict=True)),
        same_keys=_equal([SQL("{}.{}").format(Identifier(alias), place) for place in places], here),
        **pieces,
    )


def _picked(lookup: Lookup, prefix: str) -> list[Composable]:
    plain = (
        lookup
        if lookup.whole_row
        else lookup._replace(keys=tuple(KeyColumn(k.name, as_text=False) for k in lookup.keys))
    )
    return [SQL("{} AS {}").format(one, _numbered(prefix, i)) for i, one in enumerate(_expressions(plain, "s"))]


def _expressions(lookup: Lookup, alias: str) -> list[Composable]:
    """The key columns of one side; a whole row is one text, so that it can be hashed."""
    each = [
        SQL("{}.{}::text" if key.as_text else "{}.{}").format(Identifier(alias), Identifier(key.name))
        for key in lookup.keys
    ]
    return [SQL("ROW({})::text").format(SQL(", ").join(each))] if lookup.whole_row else list(each)


def _kept(request: StagedTable, tables: Mapping[Key, Table], source: Source) -> Composable:
    """Rows that the merge keeps: not hard-deleted, neither they nor the root they hang on."""
    if request.hard_delete is None:
        return SQL("true")
    for alias, table in (("s", tables[request.staging, request.table]), ("r", source.root)):
        flag = column(table, request.hard_delete) if table else None
        if flag:
            test = SQL("{}.{} IS NOT TRUE" if flag.type == "boolean" else "{}.{} IS NULL")
            return test.format(Identifier(alias), Identifier(flag.name))
    return SQL("true")


def _join(table: Table, alias: str, child: str, key: str) -> Composable:
    return SQL("LEFT JOIN {} AS {} ON {}.{}::text = {}.{}::text").format(
        Identifier(table.schema, table.name),
        Identifier(alias),
        Identifier(alias),
        Identifier(ROW_KEY),
        Identifier(child),
        Identifier(key),
    )


def _load_id(alias: str) -> Composable:
    return SQL('{}.{}::text COLLATE "C"').format(Identifier(alias), Identifier(LOAD_ID))


def _equal(left: Sequence[Composable], right: Sequence[Composable]) -> Composable:
    return SQL(" AND ").join(SQL("{} = {}").format(a, b) for a, b in zip(left, right, strict=True))


def _numbered(prefix: str, number: int) -> Identifier:
    return Identifier(f"{prefix}{number}")
