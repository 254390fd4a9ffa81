"""`penstock check`: every finding with its place, and an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli import clusters, fleets, options, showing

if TYPE_CHECKING:
    from penstock.app import check
    from penstock.model import errors
    from penstock.ports.cluster import Cluster


@click.command(
    "check",
    epilog="""\b
Examples:
  penstock check                    the repository in this folder
  penstock check ../fleet -o json   for a program
  penstock check --pre --context kind-dev      whether a cluster can be synced
  penstock check --cluster --env prod          whether one is: definitions, controllers, who leads
\b
Exit codes: 0 no errors; 1 errors were found; 2 there is nothing to check.""",
)
@click.argument("folder", type=click.Path(path_type=Path), default=Path(), callback=options.reads)
@options.output_option
@click.option("--strict", is_flag=True, help="Count warnings as errors.")
@click.option("--pre", is_flag=True, help="Check a cluster instead: whether Penstock can be installed there.")
@click.option("--cluster", is_flag=True, help="Check a cluster instead: whether it can be, and is, synced.")
@clusters.options
def command(folder: Path, output: str, strict: bool, pre: bool, cluster: bool, where: clusters.Where) -> int:
    """Validate a repository: every finding with file, line and column."""
    if pre or cluster:
        return _check_cluster(where, components=cluster)
    from penstock.adapters.files import DirectoryTree
    from penstock.app import check
    from penstock.model import errors

    try:
        report = check.repository(DirectoryTree(folder))
    except NotADirectoryError:
        raise click.UsageError(f"{folder} is not a folder") from None
    except errors.InputError as error:
        click.echo(showing.error(error), err=True)
        return 2
    if output != "table":
        fleets.print_data({"environments": report.environments, "problems": [_as_json(p) for p in report.problems]}, output)
    else:
        for problem in report.problems:
            warning = click.style("warning: ", fg="yellow") if problem.severity == "warning" else ""
            click.echo(warning + showing.problem(problem))
        click.secho(_summary(report), fg="red" if report.errors else "yellow" if report.warnings else "green")
    return 1 if report.errors or (strict and report.warnings) else 0


def _check_cluster(where: clusters.Where, *, components: bool) -> int:
    from penstock.app import installed

    async def work(found: Cluster) -> bool:
        well = await installed.prerequisites(found, clusters.tell)
        return (not components or await installed.components(found, where.namespace, clusters.tell)) and well

    well = clusters.in_cluster(where, work)
    if not well:
        clusters.tell("failed", "check failed")
    elif components:
        clusters.tell("done", "all checks passed")
    return 0 if well else 1


def _summary(report: check.Report) -> str:
    def count(number: int, noun: str) -> str:
        return f"{number} {noun}{'' if number == 1 else 's'}"

    problems, environments = count(report.errors, "problem"), count(len(report.environments), "environment")
    return f"{problems} in {environments}, {count(report.warnings, 'warning')}"


def _as_json(problem: errors.Problem) -> dict[str, object]:
    where = problem.where
    return {
        "severity": problem.severity,
        "code": problem.code,
        "what": problem.what,
        "hint": problem.hint,
        "file": where.path if where else None,
        "line": where.line or None if where else None,
        "column": where.column or None if where else None,
        "chain": [str(place) for place in problem.chain],
    }
