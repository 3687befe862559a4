"""One database read for its pipelines, at one moment: catalog, dlt's tables, then what the ledger needs."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from dltdoctor.deduced.strangers import has_loaded, knows
from dltdoctor.deduced.writers import fillers, foreign_columns, shared_tables
from dltdoctor.snapshot import Database, Route, Schema, SchemaTable, Unread, Value
from dltdoctor.world.at_work import are_unchanged, in_doubt, is_at_work
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.known import Configure, Known, completed, places, routes
from dltdoctor.world.logins import Login
from dltdoctor.world.questions import questions
from dltdoctor.world.requests import NullsByWriter, StagedTable
from dltdoctor.world.routing import places_by_staging

MOST_READINGS = 3

Progress = Callable[[str], None]


class Reading(Value):
    """What was read of one database, and the pipelines it made complete.

    `elsewhere` are pipelines that were left out: they have loaded, but never into this database.
    """

    database: Database
    known: tuple[Known, ...]
    routes: tuple[Route, ...]
    unread: tuple[Unread, ...]
    elsewhere: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.pipeline.name for each in self.known)


def read_destination(
    credentials: Credentials,
    known: Sequence[Known],
    configure: Configure,
    *,
    everyone: bool,
    only_acquaintances: bool = False,
    ended_loads: frozenset[str] = frozenset(),
    logins: Mapping[str, Login] = {},
    deep: bool,
    progress: Progress,
    readings: int = MOST_READINGS,
) -> Reading:
    """Everything the ledger and the checks want of one database. Raises `CouldNotLookError`.

    With `only_acquaintances`, pipelines that it has never met are left out when it has met another one.
    `ended_loads` are over: they are looked up in `_dlt_loads`, and nobody waits to see them move.
    What looks unfinished and has moved on meanwhile was running all the time: everything is read again.
    """
    from dltdoctor.world.postgres.activity import read_activity, watch_activity  # noqa: PLC0415 - offline needs none
    from dltdoctor.world.postgres.around import read_around  # noqa: PLC0415
    from dltdoctor.world.postgres.catalog import read_catalog  # noqa: PLC0415
    from dltdoctor.world.postgres.dlt_tables import read_dlt_tables, read_load_rows  # noqa: PLC0415
    from dltdoctor.world.postgres.loaders import read_rights  # noqa: PLC0415
    from dltdoctor.world.postgres.looks import look  # noqa: PLC0415
    from dltdoctor.world.postgres.rows import read_counts, read_nulls  # noqa: PLC0415
    from dltdoctor.world.postgres.session import open_session  # noqa: PLC0415
    from dltdoctor.world.postgres.staged import read_staged  # noqa: PLC0415
    from dltdoctor.world.postgres.staging_schemas import with_staging_schemas  # noqa: PLC0415

    progress(f"connecting to {credentials.display}")
    with open_session(credentials) as session:
        # Now and at the end: a load that ends meanwhile is still running in the snapshot.
        activity = read_activity(session)
        progress("reading the catalog")
        relations = read_catalog(session)
        own = read_dlt_tables(session, relations.tables)
        database = Database(
            target=session.target,
            server_version=session.server_version,
            read_at=session.read_at,
            role=session.role,
            schemas=relations.schemas,
            tables=relations.tables,
            views=relations.views,
            loads=own.loads,
            ended_loads=read_load_rows(session, relations.tables, ended_loads),
            states=own.states,
            stored_schemas=own.stored_schemas,
            unread=_unread_tables(own.unread),
        )
        elsewhere = _strangers(known, database) if only_acquaintances else ()
        acquainted = [each for each in known if each.pipeline.name not in elsewhere]
        everybody = completed(acquainted, database, configure, everyone=everyone)
        ways = tuple(way for each in everybody for way in routes(each, database))
        key = session.target.key
        at = places(everybody, key)
        pipelines = [each.pipeline for each in everybody]
        requests = tuple(_staged_tables(everybody, ways, database))
        staged, staged_unread = read_staged(
            session, requests, relations.tables, deep=deep, progress=_counting(progress, "comparing staged rows")
        )
        database = read_rights(session, database, pipelines, ways, logins)
        database = with_staging_schemas(session, database, pipelines, ways)
        finals = {way.final for way in ways}
        counted = [
            t for t in relations.tables.values() if t.schema in finals and t.readable and not t.name.startswith("_dlt_")
        ]
        counts = read_counts(session, counted, deep=deep, progress=_counting(progress, "counting rows"))
        shared = shared_tables(pipelines, ways, at)
        nulls = read_nulls(
            session,
            [
                NullsByWriter(
                    dataset=final,
                    table=table,
                    schema_name=w.route.schema,
                    columns=columns,
                    filled_by=fillers(columns, writers),
                )
                for (_, final, table), writers in shared.items()
                for w in writers
                if w.overwrites and (columns := foreign_columns(w, writers))
            ],
            relations.tables,
            deep=deep,
        )
        looks = look(
            session,
            questions(pipelines, ways, database, counts),
            relations.tables,
            counts,
            deep=deep,
            progress=_counting(progress, "looking into final tables"),
        )
        around = read_around(session, pipelines, ways, database, deep=deep)
        doubtful = in_doubt(staged, pipelines, session.read_at, ended_loads)
        activity = watch_activity(
            session, activity, lambda seen: is_at_work(doubtful, seen, relations.tables, session.read_at)
        )
    if not is_at_work(doubtful, activity, relations.tables, session.read_at) and readings > 1:
        progress("looking again at what looks unfinished")
        if not are_unchanged(credentials, doubtful, requests, relations.tables):
            return read_destination(
                credentials,
                known,
                configure,
                everyone=everyone,
                only_acquaintances=only_acquaintances,
                ended_loads=ended_loads,
                logins=logins,
                deep=deep,
                progress=progress,
                readings=readings - 1,
            )
    needed = finals | {way.examined_staging for way in ways if way.examined_staging}
    hidden = relations.hidden(session.role, needed)
    unread = _unread_tables((*own.unread, *staged_unread))
    return Reading(
        database=msgspec.structs.replace(
            database,
            staged=staged,
            counts=counts,
            nulls=nulls,
            looks=looks,
            around=around,
            activity=activity,
            unread=unread,
        ),
        known=tuple(everybody),
        routes=ways,
        unread=(*hidden, *own.unread, *staged_unread, *(_left_out(name, key) for name in elsewhere)),
        elsewhere=elsewhere,
    )


def _unread_tables(unread: Iterable[Unread]) -> frozenset[tuple[str, str]]:
    return frozenset((part.dataset, name) for part in unread if part.dataset for name in part.tables)


def _strangers(known: Sequence[Known], database: Database) -> tuple[str, ...]:
    """Those that have loaded and that the database does not know; none when it knows nobody."""
    pipelines = {each.pipeline.name: each for each in known if each.pipeline.origin == "local"}
    met = {
        name
        for name, each in pipelines.items()
        if knows(database, each.pipeline, [way.final for way in routes(each, database)])
    }
    return tuple(n for n, each in pipelines.items() if met and n not in met and has_loaded(each.pipeline))


def _left_out(pipeline: str, place: str) -> Unread:
    return Unread(
        code="offline",
        what=f"left out with --dsn {place}",
        reason="it has loaded, but never into that database; name the pipeline to examine it there all the same",
        hint="",
        areas=("pipelines", "config", "source", "catalog"),
        pipeline=pipeline,
    )


def _counting(progress: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, all_of_them: progress(f"{what}: {done:,} of {all_of_them:,} tables")


def _staged_tables(known: Iterable[Known], ways: Iterable[Route], database: Database) -> Iterator[StagedTable]:
    """A request for every staging table that is there, once for each final dataset it leads to."""
    ways = tuple(ways)
    users = places_by_staging(ways, {way.pipeline: "" for way in ways})
    schemas = {(each.pipeline.name, s.name): s for each in known for s in each.pipeline.schemas}
    asked: set[tuple[str, str, str]] = set()
    for way in ways:
        staging, schema = way.examined_staging, schemas.get((way.pipeline, way.schema))
        for table in schema.data_tables if schema and staging else ():
            place = (staging or "", way.final, table.name)
            there = database.table(place[0], table.name)
            if schema is None or there is None or not there.readable or place in asked:
                continue
            asked.add(place)
            loads_of = users.get(("", place[0]), (way.final,))
            if database.is_dataset(place[0]):
                loads_of = (*loads_of, place[0])
            yield StagedTable(
                staging=place[0],
                final=way.final,
                table=table.name,
                lineage=_lineage(schema, table),
                loads_of=loads_of,
                primary_key=table.primary_key,
                hard_delete=next((c.name for c in table.columns if c.hard_delete), None),
                merge_strategy=table.merge_strategy,
            )


def _lineage(schema: Schema, table: SchemaTable) -> tuple[str, ...]:
    names = [table.name]
    while (parent := schema.table(names[-1])) and parent.parent and parent.parent not in names:
        names.append(parent.parent)
    return tuple(names)
