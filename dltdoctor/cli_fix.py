"""The commands that change something: fix, undo, history. Each shows first what it would do, and asks."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dltdoctor.asking import ask, codes_of, progress, request_of, write_bytes
from dltdoctor.errors import UsageError
from dltdoctor.parameters import Dsn, Format, Ignore, OutputFormat, Pipelines, PipelinesDir, Project, Select

if TYPE_CHECKING:
    from dltdoctor.receipt import Receipt
    from dltdoctor.treatment import Prepared
    from dltdoctor.world.survey import Request

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan, rehearse it, change nothing.")]

AGAIN = "Nothing was changed."


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(fix)
    app.command()(undo)
    app.command()(history)


def fix(  # noqa: PLR0913 - one parameter for each option
    pipelines: Pipelines = None,
    dsn: Dsn = None,
    pipelines_dir: PipelinesDir = None,
    project: Project = None,
    select: Select = None,
    ignore: Ignore = None,
    format: OutputFormat = Format.TEXT,  # noqa: A002
    plan_out: Annotated[
        Path | None,
        typer.Option("--plan-out", metavar="FILE", help="Write the plan, change nothing.", show_default=False),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            help="Carry out this plan; refused when the world has changed.",
            show_default=False,
        ),
    ] = None,
    continue_: Annotated[
        str | None,
        typer.Option("--continue", metavar="RECEIPT", help="Finish an unfinished repair.", show_default=False),
    ] = None,
    *,
    config: Annotated[bool, typer.Option("--config", help="Only configuration and source.")] = False,
    migrate: Annotated[
        bool, typer.Option("--migrate", help="Only staged rows that have to reach the final table.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Only loads that dlt can finish.")] = False,
    recover: Annotated[
        bool, typer.Option("--recover", help="Only what dlt's load packages of this machine bring back.")
    ] = False,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="Also what may cost something; it is said what.")] = False,
    no_undo: Annotated[
        bool, typer.Option("--no-undo", help="Do not keep what undo needs; faster, needs less room.")
    ] = False,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="Show values of rows that --recover would bring back.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Repair what diagnose finds: show the plan, ask, carry it out, prove it. Can be undone.

    Without --config, --migrate, --resume or --recover every safe repair is planned.
    """
    from dltdoctor import plan_file, treatment  # noqa: PLC0415

    if plan and (plan_out or config or migrate or resume or recover or select or ignore):
        raise UsageError("--plan carries out a plan as it is", "Leave out the options that would make another one.")
    request = request_of(pipelines, dsn, pipelines_dir, project)
    if continue_:
        _continue(continue_, request)
        return
    with progress() as step:
        if plan:
            prepared = treatment.reopen(plan_file.read_plan(plan), request, progress=step)
        else:
            _announce_unfinished(request)
            wish = treatment.Wish(
                config=config,
                migrate=migrate,
                resume=resume,
                recover=recover,
                unsafe=unsafe,
                codes=codes_of(select),
                ignored=codes_of(ignore),
            )
            prepared = treatment.prepare(request, wish, progress=step)
    if plan_out:
        plan_file.write_plan(prepared.plan, plan_out)
    stop = dry_run or plan_out is not None
    _carry_out(prepared, format, keep_undo=not no_undo, rehearse=dry_run, stop=stop, yes=yes, show_values=show_values)


def undo(
    receipt: Annotated[
        str | None,
        typer.Argument(
            metavar="[RECEIPT]", help="Its id or the beginning of it; the newest if left out.", show_default=False
        ),
    ] = None,
    dsn: Dsn = None,
    pipelines_dir: PipelinesDir = None,
    project: Project = None,
    format: OutputFormat = Format.TEXT,  # noqa: A002
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Take a repair back. Refused when rows or files have changed since. Undo of an undo does it again."""
    from dltdoctor import inverses, repair, workbench  # noqa: PLC0415
    from dltdoctor.report import plan as report  # noqa: PLC0415
    from dltdoctor.situation import Situation  # noqa: PLC0415

    request = request_of(None, dsn, pipelines_dir, project)
    chosen = _receipt(request, receipt)
    with progress() as step:
        way_in = workbench.way_into(request, chosen, progress=step)
        bench = workbench.bench(request, way_in, step)
        planned = inverses.undo_plan(chosen, bench)
    if format is Format.TEXT:
        report.render_plan(planned, (), old_files=_old_files(planned.steps), file=sys.stdout)
    if dry_run:
        if format is Format.JSON:
            write_bytes(report.as_json(planned))
        return
    ask("Take it back?", yes=yes)
    with progress() as step:
        done = repair.undo(chosen, workbench.bench(request, way_in, step))
    if format is Format.JSON:
        write_bytes(report.as_json(planned, done))
    else:
        report.render_done(done, again=Situation(request).command, file=sys.stdout)


def history(
    prune: Annotated[bool, typer.Option("--prune", help="Forget finished repairs and free what undo kept.")] = False,  # noqa: FBT002
    dsn: Dsn = None,
    pipelines_dir: PipelinesDir = None,
    project: Project = None,
    format: OutputFormat = Format.TEXT,  # noqa: A002
    *,
    yes: Yes = False,
) -> None:
    """List the repairs of this user, unfinished ones first."""
    from dltdoctor import workbench  # noqa: PLC0415
    from dltdoctor.report import plan as report  # noqa: PLC0415

    request = request_of(None, dsn, pipelines_dir, project)
    receipts = workbench.receipts(request).all()
    if format is Format.JSON:
        write_bytes(report.history_json(receipts))
    else:
        report.render_history(receipts, file=sys.stdout)
    if prune:
        finished = [r for r in receipts if not r.is_unfinished]
        ask(f"Forget {len(finished)} finished repairs? They cannot be undone afterwards.", yes=yes)
        with progress() as step:
            for each in finished:
                workbench.forget(each, request, progress=step)


def _carry_out(
    prepared: "Prepared",
    format: Format,  # noqa: A002
    *,
    keep_undo: bool,
    rehearse: bool,
    stop: bool,
    yes: bool,
    show_values: bool,
) -> None:
    from dltdoctor import repair, treatment  # noqa: PLC0415
    from dltdoctor.report import plan as report  # noqa: PLC0415
    from dltdoctor.report import recovered  # noqa: PLC0415
    from dltdoctor.situation import Situation  # noqa: PLC0415

    plan = prepared.plan
    samples = [recovered.as_json(s, show_values=show_values) for s in prepared.samples]
    as_text = format is Format.TEXT
    with progress() as step:
        worth = treatment.is_worth_rehearsing(prepared, thorough=rehearse, asked=not yes)
        captures = repair.preview(plan, treatment.workshop(prepared, step), keep_undo=keep_undo) if worth else ()
    if as_text:
        report.render_plan(plan, captures, old_files=_old_files(plan.steps), file=sys.stdout)
        recovered.render_samples(prepared.samples, show_values=show_values, file=sys.stdout)
    if stop or plan.is_empty:
        if not as_text:
            write_bytes(report.as_json(plan, tables=captures, samples=samples))
        raise typer.Exit(0 if not plan.is_empty or not plan.held_back else 4)
    ask("Carry it out?", yes=yes)
    with progress() as step:
        receipt = repair.apply(
            plan, treatment.workshop(prepared, step), title=treatment.title(plan), keep_undo=keep_undo
        )
        proof = treatment.prove(prepared, receipt, progress=step)
    if as_text:
        report.render_done(receipt, again=Situation(prepared.request).command, file=sys.stdout)
        report.render_proof(proof, file=sys.stdout)
    else:
        write_bytes(report.as_json(plan, receipt, proof, samples=samples))
    raise typer.Exit(1 if proof.remaining else 0)


def _continue(receipt: str, request: "Request") -> None:
    from dltdoctor import repair, workbench  # noqa: PLC0415
    from dltdoctor.report import plan as report  # noqa: PLC0415

    chosen = workbench.receipts(request).read(receipt)
    if not chosen.is_unfinished:
        raise UsageError(f"receipt {chosen.id} is finished", "dltdoctor history lists unfinished ones first.")
    with progress() as step:
        way_in = workbench.way_into(request, chosen, progress=step)
        done = repair.resume(chosen, workbench.bench(request, way_in, step))
    report.render_history([done], file=sys.stdout)


def _receipt(request: "Request", wanted: str | None) -> "Receipt":
    from dltdoctor import workbench  # noqa: PLC0415

    receipts = workbench.receipts(request)
    if wanted:
        return receipts.read(wanted)
    newest = next((r for r in receipts.all() if r.status in ("applied", "started")), None)
    if newest is None:
        raise UsageError("there is no repair to undo", "dltdoctor history lists what was done.")
    return newest


def _announce_unfinished(request: "Request") -> None:
    from dltdoctor import workbench  # noqa: PLC0415

    for receipt in workbench.receipts(request).unfinished():
        sys.stderr.write(
            f"dltdoctor: the repair {receipt.id} was interrupted; finish it with `dltdoctor fix --continue {receipt.id}`"
            f" or take it back with `dltdoctor undo {receipt.id}`\n"
        )


def _old_files(steps: "tuple[object, ...]") -> dict[str, bytes]:
    from dltdoctor.steps.step import WriteFile  # noqa: PLC0415

    found: dict[str, bytes] = {}
    for step in steps:
        if isinstance(step, WriteFile) and Path(step.path).is_file():
            found[step.path] = Path(step.path).read_bytes()
    return found
