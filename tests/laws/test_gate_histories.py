"""Random histories of one promotion against a small model of what may be merged and when. PENSTOCK_HISTORIES sets how many.

People and machines do to it whatever they can: commits and reverts upstream, health that comes and goes, approvals of this
and of earlier content, refusals, freezes, holds, statuses by friends and by strangers, closed and reopened pull requests,
drafts, pushes to the branch, merges by hand, time. The real side is `gates` and `deciding`, asked anew at each pass. What
must hold: nothing is merged that the model would not merge, nothing goes backwards, every pass comes to rest, and once every
obstacle is gone the change arrives.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from penstock.model.pipeline import Environment, Freeze, Gates, Hold, RequiredStatus
from penstock.model.values import CommitId, EnvName
from penstock.promote import deciding, gates
from penstock.promote.change import Change
from penstock.promote.evidence import Evidence

HISTORIES = int(os.environ.get("PENSTOCK_HISTORIES", "300"))
STEPS = 50
DEV = EnvName("dev")
US = "penstock"
PEOPLE = ("ann", "bob", "carl")
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass
class Pull:
    number: int
    content: int
    draft: bool = False
    ours: bool = True
    told: object = None


@dataclass
class World:
    """Contents are numbers; `order` says when the source had which, so that going backwards can be seen."""

    rules: Gates
    now: datetime = START
    source: int = 0
    order: int = 0
    author: str = "ann"
    target: int = 0
    arrived: int = 0
    live: int = 0
    healthy_since: datetime | None = START
    reviews: list[tuple[str, int, str]] = field(default_factory=list)
    ci: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Content -> (state, creator) of the newest status."""
    frozen_until: datetime | None = None
    held: bool = False
    pull: Pull | None = None
    closed: list[tuple[int, bool, bool]] = field(default_factory=list)
    """(content, merged, by us), of pull requests that are not open any more."""
    branch: int | None = None
    numbers: int = 0
    merges: int = 0

    # the model: what may be merged, said in another way than the gates do

    def may_merge(self) -> bool:
        soaked = self.live == self.source and self.healthy_since is not None and self.now >= self.healthy_since + self.rules.soak
        said = {user: (content, state) for user, content, state in self.reviews}
        yes = {user for user, (content, state) in said.items() if state == "yes" and content == self.source}
        refused = any(state == "no" for _, state in said.values())
        enough = len(yes - {self.author, US}) >= self.rules.approvals and not refused
        checked = not self.rules.statuses or self.ci.get(self.source) == ("success", "ci-bot")
        free = not self.held and (self.frozen_until is None or self.now >= self.frozen_until)
        return soaked and enough and checked and free

    # the real side

    def verdicts(self) -> tuple[gates.Verdict, ...]:
        there = self.live == self.source and self.healthy_since is not None
        evidence = Evidence(
            environment=DEV, state="healthy" if there else "waiting", reason="so", since=self.healthy_since if there else None
        )
        said = {user: (content, state) for user, content, state in self.reviews}
        status = self.ci.get(self.source)
        target = Environment(
            name=EnvName("staging"), paths=("clusters/staging",), cluster="staging", promote_from=(DEV,), gates=self.rules
        )
        return gates.judge(
            gates.Situation(
                unit="web",
                target=target,
                commit=commit(self.source),
                evidence=(evidence,),
                approvals=tuple(
                    gates.Approval(user=user, when=self.now)
                    for user, (content, state) in said.items()
                    if state == "yes" and content == self.source
                ),
                rejections=tuple(user for user, (_, state) in said.items() if state == "no"),
                author=US,
                change_authors=(self.author,),
                statuses=(gates.Status(context="ci", state=status[0], creator=status[1]),) if status else (),
                freezes=(Freeze(environments=(), reason="so", until=self.frozen_until),) if self.frozen_until else (),
                holds=(Hold(unit="web", commit="", environments=(), reason="so"),) if self.held else (),
                now=self.now,
            )
        )

    def state(self, *, asked: bool = False) -> deciding.State:
        empty = self.source == self.target
        verdicts = () if empty else self.verdicts()
        pull = self.pull
        return deciding.State(
            change=Change(
                unit="web",
                source=DEV,
                target=EnvName("staging"),
                commit=commit(self.source),
                files={} if empty else {"a": b"%d" % self.source},
            ),
            verdicts=verdicts,
            pull=deciding.Pull(
                number=pull.number,
                head=commit(pull.content),
                draft=pull.draft,
                current=pull.content == self.source and pull.ours,
                told=pull.told == told(verdicts),
                ours=pull.ours,
            )
            if pull
            else None,
            closed=[
                deciding.Closed(number=1, merged=merged, by="ann", by_us=by_us)
                for content, merged, by_us in self.closed
                if content == self.source and not merged
            ],
            branch=commit(self.branch) if self.branch is not None else None,
            asked=asked,
        )

    def settle(self, *, asked: bool = False) -> None:
        """Pass after pass until there is nothing to do but wait."""
        for _ in range(12):
            decision = deciding.decide(self.state(asked=asked))
            if decision.action in ("wait", "none"):
                return
            self.act(decision)
        raise AssertionError(f"does not come to rest: {decision}")

    def act(self, decision: deciding.Decision) -> None:
        match decision.action:
            case "open":
                assert self.pull is None and decision.push
                self.numbers += 1
                self.branch = self.source
                self.pull = Pull(self.numbers, self.source, decision.draft, told=told(self.verdicts()))
            case "update":
                assert self.pull is not None
                if decision.push:
                    assert self.pull.ours, "somebody else's commits are never overwritten"
                    self.branch = self.pull.content = self.source
                self.pull.draft, self.pull.told = decision.draft, told(self.verdicts())
            case "close":
                assert self.pull is not None
                self.closed.append((self.pull.content, False, True))
                self.pull, self.branch = None, None
            case "clean":
                self.branch = None
            case "merge":
                assert self.pull is not None and self.pull.ours and not self.pull.draft
                assert self.pull.content == self.source, "only what was judged is merged"
                assert self.may_merge(), "merged past a gate"
                self.land()

    def land(self) -> None:
        assert self.pull is not None
        assert self.order >= self.arrived, "backwards"
        self.target, self.arrived = self.pull.content, self.order
        self.closed.append((self.pull.content, True, True))
        self.pull, self.branch = None, None
        self.merges += 1


def commit(content: int) -> CommitId:
    return CommitId(f"{content:040x}")


def told(verdicts: tuple[gates.Verdict, ...]) -> object:
    return [(one.gate, one.state, one.until) for one in verdicts]


def happens(world: World, chance: random.Random) -> None:
    """Anything that people, clusters, machines and time can do."""
    pull = world.pull
    match chance.randrange(16):
        case 0 | 1:
            world.order += 1
            world.source = world.order * 10 if chance.random() < 0.8 else chance.choice([0, world.target, world.source])
            world.author = chance.choice(PEOPLE)
        case 2 | 3:
            if world.live != world.source or world.healthy_since is None:
                world.live, world.healthy_since = world.source, world.now
        case 4:
            world.healthy_since = None
        case 5 | 6 if pull:
            world.reviews.append((chance.choice(PEOPLE), pull.content, "yes" if chance.random() < 0.8 else "no"))
        case 7 if pull:
            world.ci[pull.content] = (chance.choice(["success", "failure"]), chance.choice(["ci-bot", "ci-bot", "stranger"]))
        case 8:
            lifted = world.frozen_until is not None and chance.random() < 0.3
            world.frozen_until = None if lifted else world.now + timedelta(minutes=chance.choice([60, 6000]))
        case 9:
            world.held = not world.held
        case 10 if pull:
            world.closed.append((pull.content, False, False))
            world.pull = None
        case 11 if pull:
            pull.draft = not pull.draft
        case 12 if pull:
            pull.ours = False
        case 13 if pull and pull.content == world.source and chance.random() < 0.3:
            world.land()  # a person merges by hand, whatever the gates say
        case _:
            world.now += timedelta(minutes=chance.choice([1, 7, 45]))


def free(world: World) -> None:
    """Every obstacle is taken away, by those whose it is."""
    world.held, world.frozen_until = False, None
    world.live, world.healthy_since = world.source, world.now
    world.now += timedelta(days=1)
    if world.pull is not None:
        world.pull.draft, world.pull.ours = False, True
    world.settle(asked=True)
    world.reviews += [(person, world.source, "yes") for person in PEOPLE]
    world.ci[world.source] = ("success", "ci-bot")
    world.settle(asked=True)


@pytest.mark.parametrize("block", range(4))
def test_nothing_passes_a_gate_nothing_goes_back_and_nothing_sticks(block: int) -> None:
    merges = 0
    for seed in range(block, HISTORIES, 4):
        chance = random.Random(seed)
        rules = Gates(
            soak=timedelta(minutes=chance.choice([0, 30])),
            approvals=chance.choice([0, 1, 2]),
            statuses=(RequiredStatus(context="ci", creator="ci-bot"),) if chance.random() < 0.5 else (),
        )
        world = World(rules)
        for _ in range(STEPS):
            happens(world, chance)
            if chance.random() < 0.5:
                world.settle()
        free(world)
        assert world.target == world.source, f"stuck, seed {seed}"
        merges += world.merges
    assert merges > HISTORIES / 8, "the histories hold promotions that arrive"
