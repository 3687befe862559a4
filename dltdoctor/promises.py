"""What the declared readers were promised, table by table, joined with where dlt puts the tables. Pure."""

from collections.abc import Iterator, Sequence

from dltdoctor.snapshot import Catalog, Contract, Copy, DeclaredTable, Pipeline, Reader, Route, Value


class Promise(Value):
    """One declared table in the database that it belongs to.

    `owners` are the ways of the pipelines that load a table of this name, none when no pipeline is
    known to. `dataset` is the schema the reader should get it from: the one it names, else the final
    dataset; `meant` is the relation there.
    """

    reader: Reader
    table: DeclaredTable
    owners: tuple[Route, ...]
    dataset: str | None
    meant: Copy | None

    @property
    def contract(self) -> Contract:
        return self.reader.contract

    @property
    def finals(self) -> tuple[str, ...]:
        return tuple(sorted({way.final for way in self.owners}))

    @property
    def pipeline(self) -> str | None:
        """The pipeline that loads it, when there is one only."""
        names = {way.pipeline for way in self.owners if way.final == self.dataset}
        return next(iter(names)) if len(names) == 1 else None

    @property
    def is_twin(self) -> bool:
        """True when the bare name leads to another schema than the pipeline's."""
        resolved = self.table.resolved
        return self.table.schema is None and resolved is not None and bool(self.finals) and resolved not in self.finals

    @property
    def who(self) -> str:
        """The reader in a sentence."""
        role = f" (role {self.reader.role})" if self.contract.role else ""
        return f"the reader {self.contract.name!r}{role}"


def promises(
    readers: Sequence[Reader], routes: Sequence[Route], pipelines: Sequence[Pipeline], catalog: Catalog
) -> Iterator[Promise]:
    """Every declared table once: in the database where a pipeline loads it, else where it is, else in the first."""
    found: dict[tuple[str, str, int], list[Promise]] = {}
    for reader in readers:
        here = [way for way in routes if catalog.of_pipeline.get(way.pipeline) == reader.database]
        for number, table in enumerate(reader.tables):
            key = (reader.contract.name, reader.contract.origin, number)
            found.setdefault(key, []).append(_promise(reader, table, _owners(table, here, pipelines)))
    for candidates in found.values():
        yield max(candidates, key=lambda p: (bool(p.owners), bool(p.table.copies)))


def _owners(table: DeclaredTable, routes: Sequence[Route], pipelines: Sequence[Pipeline]) -> tuple[Route, ...]:
    schemas = {(p.name, s.name): s for p in pipelines for s in p.schemas}
    loading = (w for w in routes if (s := schemas.get((w.pipeline, w.schema))) and s.table(table.name))
    return tuple(w for w in loading if table.schema is None or w.final == table.schema)


def _promise(reader: Reader, table: DeclaredTable, owners: tuple[Route, ...]) -> Promise:
    finals = sorted({way.final for way in owners})
    dataset = table.schema or (table.resolved if table.resolved in finals or not finals else finals[0])
    return Promise(reader=reader, table=table, owners=owners, dataset=dataset, meant=table.copy(dataset))
