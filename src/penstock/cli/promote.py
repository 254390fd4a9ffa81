"""`penstock promote`: open or update promotion pull requests now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli import fleets
from penstock.model import errors

if TYPE_CHECKING:
    from penstock.app import promote as promoting
    from penstock.controllers.promotion_cases import Case
    from penstock.merge.outcome import Choice, Conflict


@click.command(
    "promote",
    epilog="""\b
Examples:
  penstock promote web --to staging --dry-run     exactly the pull request that would be opened
  penstock promote web --to staging               open it, or bring it up to date
  penstock promote --to prod                      every app that has something to promote
  penstock promote web --to prod --dry-run -o json
  penstock promote web --to staging --take dev:data.checkout_timeout
  penstock promote web --to staging --keep staging:data.checkout_timeout
\b
Exit codes: 0 done; 1 wrong names; 2 conflicts, a person decides; 3 a server refused.""",
)
@click.argument("app", required=False)
@click.option("--to", "target", metavar="ENV", required=True, help="The environment to promote into.")
@click.option("--dry-run", is_flag=True, help="Only show what would be opened.")
@click.option("--take", multiple=True, metavar="[ENV:]FIELD", help="In a conflict on FIELD, take the source's value.")
@click.option("--keep", multiple=True, metavar="[ENV:]FIELD", help="In a conflict on FIELD, keep the target's value from now on.")
@fleets.fleet_option
@fleets.output_option
def command(
    app: str | None, target: str, dry_run: bool, take: Sequence[str], keep: Sequence[str], fleet: Path | None, output: str
) -> None:
    """Open or update the pull request that carries APP's change (or every app's) to the next environment."""
    from penstock.app import promote as promoting
    from penstock.app.world import World

    async def work(world: World) -> promoting.Promoted:
        choices = await _choices(world, target, take, keep)
        return await promoting.promote(world, app, target, choices=choices, dry_run=dry_run)

    promoted = fleets.in_world(fleet, work)
    if output == "table":
        show(promoted, app, dry_run)
    else:
        fleets.print_data(data(promoted), output)
    conflicts = [case for case in promoted.cases if case.change.conflicts]
    if conflicts:
        count = sum(len(case.change.conflicts) for case in conflicts)
        raise errors.ConflictError(f"{count} field{'s need' if count > 1 else ' needs'} a decision, see above", code="Conflict")


async def _choices(world: object, target: str, take: Sequence[str], keep: Sequence[str]) -> list[Choice]:
    if not take and not keep:
        return []
    from penstock import source
    from penstock.app import log, promote
    from penstock.app.world import World

    assert isinstance(world, World)
    tip = world.repo.resolve(world.branch)
    assert tip is not None
    environment = log.found(source.discover(world.repo.tree(tip)), target)
    origin = environment.promote_from[0] if environment.promote_from else environment.name
    chosen = [("take", text) for text in take] + [("keep", text) for text in keep]
    return [promote.parse_choice(text, side, origin, environment.name) for side, text in chosen]


def data(promoted: promoting.Promoted) -> dict[str, Any]:
    """The same facts for a program."""
    return {
        "source": promoted.source,
        "target": promoted.target,
        "done": [{"action": one.action, "app": one.unit, "pull": one.number or None, "why": one.reason} for one in promoted.done],
        "promotions": [_case(case) for case in promoted.cases],
    }


def _case(case: Case) -> dict[str, Any]:
    change, decision = case.change, case.decision
    return {
        "app": case.unit,
        "source": change.source,
        "target": change.target,
        "commit": change.commit,
        "digest": change.digest,
        "branch": case.branch,
        "title": case.title,
        "pull": case.pull.number if case.pull else None,
        "url": case.pull.url if case.pull else None,
        "action": decision.action,
        "why": decision.reason,
        "gates": [{"gate": one.gate, "state": one.state, "text": one.text, "until": one.until} for one in case.verdicts],
        "conflicts": [
            {
                "field": str(one),
                "kind": one.kind,
                "file": one.path,
                "sourceAt": str(one.source_place) if one.source_place else None,
                "targetAt": str(one.target_place) if one.target_place else None,
            }
            for one in change.conflicts
        ],
        "body": case.body,
        "message": case.message,
    }


def show(promoted: promoting.Promoted, app: str | None, dry_run: bool) -> None:
    if not promoted.cases and not promoted.done:
        what = app or "everything"
        click.echo(f"{what}: {promoted.target} has all that {promoted.source} has to give")
        return
    for step in promoted.done:
        if step.action in ("open", "update", "merge", "close"):
            done = {"open": "opened", "update": "updated", "merge": "merged", "close": "closed"}[step.action]
            click.echo(f"{_name(step.unit)}: {done} #{step.number}")
    for case in promoted.cases:
        if case.change.conflicts:
            _show_conflicts(case, dry_run)
        elif dry_run:
            _show_proposal(case)
        else:
            where = f"#{case.pull.number} {case.pull.url}" if case.pull else "not opened"
            click.echo(f"{_name(case.unit)}: {where}: {fleets.plain(case.decision.reason)}")


def _name(unit: str) -> str:
    return "environment" if unit.startswith("_") else unit


def _show_proposal(case: Case) -> None:
    """Exactly the pull request: branch, title, text, message."""
    click.echo(f"{fleets.paint('branch ', 'cyan')} {case.branch}")
    click.echo(f"{fleets.paint('title  ', 'cyan')} {case.title}")
    click.echo(f"{fleets.paint('now    ', 'cyan')} {case.decision.action}: {fleets.plain(case.decision.reason)}\n")
    click.echo(case.body)
    click.echo(fleets.paint("commit message", "cyan") + "\n")
    click.echo("".join(f"  {line}\n" for line in case.message.splitlines()))


def _show_conflicts(case: Case, dry_run: bool) -> None:
    conflicts, change = case.change.conflicts, case.change
    count = len(conflicts)
    verb = "cannot be updated" if case.pull else "cannot be opened"
    were = f"{count} field{'s were' if count > 1 else ' was'} changed on both sides"
    if all(one.kind == "never-promoted" for one in conflicts):
        were = f"{count} field{'s differ' if count > 1 else ' differs'}, and nothing says which differences are meant"
    click.echo(f"{_name(case.unit)}: {change.source}@{change.commit[:7]} -> {change.target} {verb}: {were}.\n")
    for one in conflicts:
        _show_conflict(one, case)
    first = conflicts[0]
    field = str(first)
    quoted = f"'{field}'" if " " in field or "[" in field or "#" in field else field
    app = "" if case.unit.startswith("_") else f"{case.unit} "
    click.echo(f"  Decide:  penstock promote {app}--to {change.target} --take {quoted}")
    click.echo(f"           penstock promote {app}--to {change.target} --keep {quoted}     (stays different from now on)")
    if all(one.kind == "never-promoted" for one in conflicts):
        click.echo(f"  Or:      penstock adopt {change.source} {change.target}     (all of today's differences are meant)")
    click.echo()


def _show_conflict(one: Conflict, case: Case) -> None:
    from penstock.promote import text

    click.echo(f"  {fleets.plain(one.document.removeprefix('#'))}  {fleets.plain(one.label or one.field) or one.path}")
    rows = [["    was", text.value_of(one.base), ""]]
    for name, value, place in (
        (case.change.source, one.source, one.source_place),
        (case.change.target, one.target, one.target_place),
    ):
        rows.append([f"    {name}", text.value_of(value), str(place or "")])
    for line in fleets.columns([[fleets.cut(cell, 90) for cell in row] for row in rows]):
        click.echo(line)
    click.echo()
