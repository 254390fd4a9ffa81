"""Both sides changed the same field: nothing is opened as ready, a person decides, and the decision is recorded."""

from __future__ import annotations

import re
from typing import Any

import pytest
from promotion_fleet import WEB, Fleet

from penstock.app import adopt, explain, promote, status
from penstock.cli import explain as explain_command
from penstock.cli import promote as promote_command
from penstock.cli import status as status_command
from penstock.merge.outcome import Choice
from penstock.model import errors
from penstock.model.values import EnvName

FIELD = "data.checkout_timeout"
TAKE = Choice(field=FIELD, side="source")
KEEP = Choice(field=FIELD, side="target")


async def both_changed(fleet: Fleet) -> None:
    await fleet.raise_timeout()
    await fleet.raise_timeout("staging", to="60s")
    await fleet.syncs("dev")


@pytest.mark.row("M11")
async def test_a_conflict_opens_nothing_and_names_both_values_with_their_lines(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    await both_changed(fleet)
    assert await fleet.settle() == []
    assert await fleet.drawing() == ""
    promoted = await promote.promote(fleet.world(), "web", "staging", dry_run=True)
    (conflict,) = promoted.cases[0].change.conflicts
    assert (str(conflict), conflict.base, conflict.source, conflict.target) == (f"#ConfigMap/web {FIELD}", "10s", "20s", "60s")
    assert str(conflict.source_place).startswith(WEB.format("dev") + "config.yaml:6")
    assert str(conflict.target_place).startswith(WEB.format("staging") + "config.yaml:6")
    promote_command.show(promoted, "web", True)
    shown = capsys.readouterr().out
    assert "staging cannot be opened: 1 field was changed on both sides." in shown
    assert "--take '#ConfigMap/web data.checkout_timeout'" in shown


async def test_a_conflict_in_an_open_pull_request_makes_it_a_draft_until_it_is_gone(fleet: Fleet) -> None:
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    await fleet.approve(await fleet.the_pull())
    await fleet.raise_timeout("staging", to="60s")
    assert await fleet.settle() == ["update web -> staging"]
    pull = await fleet.the_pull()
    assert pull.draft and "Cannot be merged: 1 field was changed on both sides" in pull.body
    await fleet.raise_timeout("staging", was="60s", to="10s")
    assert (await fleet.settle())[0] == "update web -> staging"
    pull = (await fleet.pulls("all"))[0]
    assert not pull.draft


async def test_taking_the_sources_value_opens_the_pull_request_and_survives_further_passes(fleet: Fleet) -> None:
    await both_changed(fleet)
    promoted = await promote.promote(fleet.world(), "web", "staging", choices=[TAKE])
    assert [step.action for step in promoted.done] == ["open"]
    assert await fleet.settle() == []
    pull = await fleet.the_pull()
    assert "Penstock-Choice: take" in fleet.mirror.commit(pull.head_sha).message
    await fleet.approve(pull)
    assert (await fleet.settle())[0] == "merge web -> staging"
    assert "checkout_timeout: 20s" in await fleet.read(WEB.format("staging") + "config.yaml")
    assert await fleet.settle() == []


async def test_a_decision_is_void_when_a_value_is_another(fleet: Fleet) -> None:
    await both_changed(fleet)
    await promote.promote(fleet.world(), "web", "staging", choices=[TAKE])
    await fleet.raise_timeout("staging", was="60s", to="90s")
    await fleet.settle()
    assert (await fleet.the_pull()).draft


async def test_keeping_the_targets_value_keeps_it_from_now_on(fleet: Fleet) -> None:
    """Even when nothing else travels, so that the record has to be a change of its own."""
    await both_changed(fleet)
    promoted = await promote.promote(fleet.world(), "web", "staging", choices=[KEEP])
    assert [step.action for step in promoted.done] == ["open"]
    await fleet.approve(await fleet.the_pull())
    assert (await fleet.settle())[0] == "merge web -> staging"
    assert "checkout_timeout: 60s" in await fleet.read(WEB.format("staging") + "config.yaml")
    assert await fleet.settle() == []
    await fleet.edit("flag", WEB.format("dev") + "config.yaml", 'new_checkout: "true"', 'new_checkout: "maybe"')
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open web -> staging"]
    assert "`20s` | `60s` | `60s` | kept" in (await fleet.the_pull()).body


async def test_without_a_record_every_difference_is_asked_about_and_adopting_answers_all(fleet: Fleet) -> None:
    """A pipeline gets a step that nobody adopted: prod straight from dev."""
    await fleet.edit("prod from dev", "penstock.yaml", "promoteFrom: [staging]", "promoteFrom: [dev]")
    assert await fleet.settle() == []
    promoted = await promote.promote(fleet.world(), "web", "prod", dry_run=True)
    assert {conflict.kind for conflict in promoted.cases[0].change.conflicts} == {"never-promoted"}
    adopted = await adopt.adopt(fleet.world(), "dev", "prod")
    assert adopted.pull is not None
    pull = await fleet.forges["penstock"].pull(adopted.pull.number)
    await fleet.forges["reviewer"].merge_pull(pull.number, sha=pull.head_sha, method="squash", title="Adopt", message="")
    assert await fleet.settle() == []
    promoted = await promote.promote(fleet.world(), "web", "prod", dry_run=True)
    assert promoted.cases == ()
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    steps = await fleet.settle()
    assert "open web -> prod" in steps


@pytest.mark.parametrize(
    ("unit", "target", "told"),
    [
        ("wob", "staging", "did you mean 'web'"),
        ("web", "stagin", "environments here: dev, staging, prod"),
        ("web", "dev", "nothing is promoted into dev"),
    ],
)
async def test_wrong_names_are_told_with_what_there_is(fleet: Fleet, unit: str, target: str, told: str) -> None:
    with pytest.raises(errors.InputError, match=told):
        await promote.promote(fleet.world(), unit, target)


def cells(found: status.Status) -> dict[str, Any]:
    return {f"{row.unit}/{cell.environment}": cell for row in found.rows for cell in row.cells}


async def test_status_and_explain_say_where_a_change_is_and_what_it_waits_for(
    fleet: Fleet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")  # texts are wrapped to the terminal, whatever this run stands in
    commit = await fleet.raise_timeout()
    await fleet.syncs("dev")
    await fleet.settle()
    found = await status.status(fleet.world())
    web = cells(found)
    assert (web["web/dev"].state, web["web/dev"].commit, web["web/dev"].health) == ("live", commit, "healthy")
    assert web["web/staging"].state == "person"
    assert web["web/staging"].pending.pull == 1
    assert [one.what for one in web["web/staging"].pending.waits] == ["0 of 1 approval"]
    assert (web["web/prod"].state, web["web/prod"].pending) == ("live", None)
    status_command.show(found)
    shown = capsys.readouterr().out
    assert re.search(rf"ok {commit[:7]}  healthy \d+s", shown) and f"PR #1: {commit[:7]} raise" in shown
    assert "waits: 0 of 1 approval" in shown and "next: penstock explain web" in shown
    assert shown.isascii(), "plain where it is no terminal"
    said = await explain.explain(fleet.world(), "web")
    explain_command.show(said)
    shown = capsys.readouterr().out
    assert f'web: {commit[:7]} "raise checkout timeout to 20s" is live in dev, not yet in staging, not yet in prod.' in shown
    assert "-> PR #1 open" in shown and "ok healthy in dev" in shown and ".. 0 of 1 approval" in shown
    assert said.next.startswith("one approval on PR #1")
    await fleet.approve(await fleet.the_pull())
    await fleet.settle()
    await fleet.syncs("staging")
    found = await status.status(fleet.world())
    assert cells(found)["web/staging"].commit == commit, "the commit as its author wrote it, not the promotion's"


async def test_a_silent_cluster_is_told_and_the_others_are_shown(fleet: Fleet) -> None:
    clusters = {name: cluster for name, cluster in fleet.clusters.items() if name != "prod"}
    fleet.clusters = clusters
    found = await status.status(fleet.world())
    assert cells(found)["web/prod"].state == "unknown"
    assert cells(found)["web/dev"].state == "live"
    assert found.problems == (f"no cluster is known for {EnvName('prod')}",)
