"""A replay tried in a transaction that is rolled back: what it would change, counted before it is planned."""

from collections.abc import Callable, Sequence

import msgspec

from dltdoctor.snapshot import Value
from dltdoctor.steps.step import Probe, Replay
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.postgres.privileges import refuse_unless_allowed
from dltdoctor.world.postgres.replaying import lay_out
from dltdoctor.world.postgres.writing import answer, open_writing

Progress = Callable[[str], None]


class Question(Value):
    """Asked when the temporary tables are filled, before anything is changed."""

    query: str
    most: int = 1


class Measured(Value):
    """The rows that each statement changed, the answers to the questions, and how the tables stood after it."""

    changed: tuple[int, ...]
    answers: tuple[tuple[tuple[object, ...], ...], ...]
    after: tuple[Probe, ...]


def measure(
    way_in: Credentials, step: Replay, questions: Sequence[Question], proofs: Sequence[Probe], progress: Progress
) -> Measured:
    """Try the step. Raises `RefusedError`, `CouldNotLookError`, `UnreadableError`; changes nothing.

    `proofs` are asked at the end, and come back with the answers that they have to give after the step.
    """
    with open_writing(way_in) as writing, writing.explained(step):
        refuse_unless_allowed(writing.connection, [step], None)
        lay_out(writing.connection, step, progress)
        answers = tuple(
            tuple(tuple(row) for row in writing.connection.execute(q.query.encode()).fetchmany(q.most))
            for q in questions
        )
        changed = tuple(writing.connection.execute(s.encode()).rowcount for s in step.statements)
        after = tuple(msgspec.structs.replace(p, expected=answer(writing.connection, p.query)) for p in proofs)
    return Measured(changed=changed, answers=answers, after=after)
