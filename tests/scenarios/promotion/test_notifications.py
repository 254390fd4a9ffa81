"""People are told what happened, on the sandbox's forge and on a real Gitea; a dead receiver holds nobody up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from promotion_fleet import Fleet

from penstock.adapters import kube
from penstock.adapters.clock import SystemClock
from penstock.controllers.notifying import Notifier
from penstock.controllers.notifying_facts import Gatherer
from penstock.controllers.notifying_statuses import Comments, Statuses
from penstock.controllers.promotion import Controller
from penstock.model.errors import TransientError
from penstock.model.values import CommitId, EnvName
from penstock.notify import facts, wording
from penstock.notify.facts import Message
from penstock.ports.cluster import Cluster
from penstock.sandbox import cluster

RULE = """\
apiVersion: penstock.dev/v1alpha1
kind: Notification
spec: {to: [team, pull-request, commit-status]}
"""


async def until(holds: Callable[[], bool]) -> None:
    """Wait for it, for a minute on a busy machine."""
    async with asyncio.timeout(60):
        while True:
            if holds():
                return
            await asyncio.sleep(0.02)


@dataclass
class Team:
    """A chat that remembers."""

    said: list[str] = field(default_factory=list)
    dead: bool = False

    async def send(self, message: Message) -> None:
        if self.dead:
            raise TransientError("nobody there")
        self.said.append(f"{message.event}: {wording.headline(message)}")


@dataclass
class Told:
    """A fleet whose people are told."""

    fleet: Fleet
    controller: Controller
    notifier: Notifier
    team: Team

    async def settle(self) -> None:
        for _ in range(10):
            if not (await self.controller.once()).again:
                break
        await self.controller.once()

    async def heard(self, *events: str) -> None:
        """Wait until the team has heard these, in this order."""
        await until(lambda: [one.partition(":")[0] for one in self.team.said] == list(events))


def notifier(fleet: Fleet, controller: Controller, team: Team) -> Notifier:
    forge = fleet.forges["penstock"]
    return Notifier(
        gatherer=Gatherer(fleet="fleet", repo=fleet.mirror, history=controller.surveyor.history),
        sinks={"team": team, "pull-request": Comments(forge=forge)},
        clock=SystemClock(),
        statuses=Statuses(forge=forge, clusters=fleet.clusters, clock=SystemClock()),
        memory=fleet.folder / "told.json",
    )


@contextlib.asynccontextmanager
async def telling(fleet: Fleet, team: Team | None = None) -> AsyncIterator[Told]:
    controller, team = fleet.controller(), team or Team()
    made = notifier(fleet, controller, team)
    controller.reported = made.observe
    task = asyncio.create_task(made.run())
    try:
        yield Told(fleet, controller, made, team)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def remembered(fleet: Fleet) -> None:
    """Wait until the file of what was told is there."""
    await until((fleet.folder / "told.json").exists)


async def test_a_change_is_told_from_its_proposal_to_its_merge_and_a_failure_behind_it(any_fleet: Fleet) -> None:
    fleet = any_fleet
    await fleet.commit("tell the team", {".penstock/tell.yaml": RULE})
    for environment in ("dev", "staging", "prod"):
        await fleet.syncs(environment)
    async with telling(fleet) as told:
        await told.settle()
        await remembered(fleet)
        await fleet.raise_timeout()
        head = await fleet.syncs("dev")
        await told.settle()
        await told.heard("promotion.opened", "promotion.waiting")
        pull = await fleet.the_pull()
        await fleet.approve(pull)
        await told.settle()
        await told.heard("promotion.opened", "promotion.waiting", "promotion.merged")
        await fleet.syncs("staging", healthy=False)
        await told.settle()
        await told.heard("promotion.opened", "promotion.waiting", "promotion.merged", "environment.failing")
        assert told.team.said[2] == "promotion.merged: web from dev to staging is merged"

        forge = fleet.forges["penstock"]
        async with asyncio.timeout(60):
            while True:
                comments = [one for one in await forge.comments(pull.number) if "penstock notification" in one.body]
                if len(comments) == 3:
                    break
                await asyncio.sleep(0.05)
            while True:
                shown = [one for one in await forge.statuses(head or "") if one.context.startswith("kustomization/dev/")]  # type: ignore[arg-type]
                if shown:
                    break
                await asyncio.sleep(0.05)
        (status,) = shown
        assert (status.state, len(status.context.rpartition("/")[2])) == ("success", 8)


async def test_a_restart_tells_what_was_missed_and_repeats_nothing(fleet: Fleet) -> None:
    await fleet.commit("tell the team", {".penstock/tell.yaml": RULE})
    for environment in ("dev", "staging", "prod"):
        await fleet.syncs(environment)
    async with telling(fleet) as told:
        await told.settle()
        await remembered(fleet)
    await fleet.raise_timeout()
    await fleet.syncs("dev")
    quiet = fleet.controller()
    for _ in range(3):
        await quiet.once()
    team = Team()
    async with telling(fleet, team) as told:
        await told.settle()
        await told.heard("promotion.opened", "promotion.waiting")
        await told.settle()
        async with asyncio.timeout(60):
            while b"raise checkout" not in (fleet.folder / "told.json").read_bytes():
                await told.settle()
                await asyncio.sleep(0.02)
    again = Team()
    async with telling(fleet, again) as told:
        await told.settle()
        await fleet.raise_timeout("staging", to="60s")
        await told.settle()
        await until(lambda: {one.partition(":")[0] for one in again.said} >= {"promotion.bypass", "promotion.conflict"})
        assert not [one for one in again.said if "opened" in one]


async def test_a_dead_receiver_holds_nobody_up_and_what_it_misses_is_bounded(fleet: Fleet) -> None:
    await fleet.commit("tell the team", {".penstock/tell.yaml": RULE})
    await fleet.syncs("dev")
    async with telling(fleet, Team(dead=True)) as told:
        await told.settle()
        await fleet.raise_timeout()
        await fleet.syncs("dev")
        await told.settle()
        assert (await fleet.the_pull()).title.startswith("Promote web")
        await until(lambda: bool(told.notifier.counts().get("team")) and told.notifier.counts()["team"].failed > 0)
        worker = told.notifier.counts()["team"]
        assert worker.sent == 0 and worker.waiting <= 200


async def test_rules_come_from_the_main_branch_never_from_the_pull_request_they_are_about(fleet: Fleet) -> None:
    for environment in ("dev", "staging", "prod"):
        await fleet.syncs(environment)
    await fleet.propose("developer", "mine", {".penstock/tell.yaml": RULE})
    async with telling(fleet) as told:
        await told.settle()
        await fleet.raise_timeout()
        await fleet.syncs("dev")
        await told.settle()
        await remembered(fleet)
        assert told.notifier.counts() == {}
        assert told.team.said == []


async def test_two_clusters_that_sync_one_environment_have_statuses_of_their_own(fleet: Fleet, tmp_path: Path) -> None:
    forge, clock = fleet.forges["penstock"], SystemClock()
    head = await fleet.syncs("dev")
    async with (
        cluster.serve(tmp_path / "other", name="other", workloads=False) as api,
        kube.connect_to(api.url, token=api.token, ca_path=api.ca_path, name="other") as other,
    ):
        sides: list[Mapping[EnvName, Cluster]] = [fleet.clusters, {EnvName("dev"): other}]
        publishers = [Statuses(forge=forge, clusters=one, clock=clock) for one in sides]
        for publisher, state in zip(publishers, ("healthy", "failing"), strict=True):
            await publisher.publish(facts.Environment(name="dev", state=state, commit=head))  # type: ignore[arg-type]
    shown = {one.context: one.state for one in await forge.statuses(CommitId(head)) if one.context.startswith("kustomization/")}
    assert sorted(shown.values()) == ["failure", "success"]
    assert all(name.startswith("kustomization/dev/") for name in shown)
