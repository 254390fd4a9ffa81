"""What people do on the page, done through the app. In: names and values of forms. Out: commits and pull requests.

Penstock writes them with its own credentials, and the person's name stands in the commit or on the pull request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from penstock.app import marking, rollback
from penstock.app.world import World
from penstock.model import errors
from penstock.model.pipeline import REMAINDER
from penstock.promote import text
from penstock.web import acting, reading, showing


class Doing:
    """The deeds of one world's page."""

    def __init__(self, world: World, facts: reading.Reading) -> None:
        self._world = world
        self._facts = facts

    async def decide(self, name: str, target: str, stamp: str, choices: Mapping[str, acting.Side], by: str) -> None:
        """Promote an app with a person's decisions, if its conflicts are still those of `stamp`."""
        look = await self._facts.lookout.look()
        case = next((one for one in look.cases if (showing.title(one.unit), one.target.name) == (name, target)), None)
        if case is None or not case.change.conflicts or showing.to_decide(case).stamp != stamp:
            raise errors.RaceError(
                "the values changed while you looked", hint="look again, then decide", code="StaleConflict", status=409
            )
        if set(choices) != {str(one) for one in case.change.conflicts}:
            raise errors.ConflictError("every field has to be decided, each for one side", code="Undecided")
        await self._facts.lookout.decide(case, choices)
        for pull in await self._world.forge.pulls(head=case.branch):
            sides = "\n".join(f"- {text.code(field)}: {side}" for field, side in choices.items())
            await self._world.forge.comment(pull.number, f"Decided by {text.code(by)} on the web page:\n\n{sides}")

    async def rollback(self, environment: str, app: str, to: str, by: str) -> int:
        """Propose it."""
        unit = None if not app else REMAINDER if app == showing.title(REMAINDER) else app
        done = await rollback.rollback(self._world, environment, unit, to=to, by=by)
        assert done.pull is not None
        return done.pull.number

    async def hold(self, app: str, environment: str, reason: str, by: str) -> int:
        who = _person(by)
        return _number(await marking.hold(self._world, _unit(app), environments=[environment], reason=reason, until=None, by=who))

    async def release(self, app: str, environment: str, by: str) -> int:
        return _number(await marking.release(self._world, _unit(app), environment=environment, by=_person(by)))

    async def freeze(self, environment: str, reason: str, by: str) -> int:
        return _number(await marking.freeze(self._world, environment, reason=reason, until=None, by=_person(by)))

    async def thaw(self, environment: str, by: str) -> int:
        return _number(await marking.unfreeze(self._world, environment, by=_person(by)))

    async def merge_text(self, number: int) -> tuple[str, str]:
        """A promotion's with its record, as Penstock itself would merge it; a rollback's as its commit says."""
        found = await self._facts.lookout.promotion(number, await self._facts.lookout.look())
        title = f"{found.pull.title} (#{number})"
        if found.back is not None:
            return title, found.back.message.partition("\n")[2].strip() + "\n"
        if found.case is None:
            raise errors.RaceError(f"#{number} is not what would be proposed now", code="NotReady", status=409)
        case = found.case
        approvals = next((one.text for one in case.verdicts if one.gate == "approvals" and one.state == "passed"), "")
        record = replace(
            case.record,
            evidence=next((line for one in case.evidence if (line := one.trailer())), ""),
            pull=f"#{number}",
            approved_by=tuple(approvals.removeprefix("approved by ").split(", ")) if approvals else (),
        )
        return title, text.message_body(case.commits, record)


def _number(done: marking.Marked) -> int:
    return done.pull.number if done.pull else 0


def _person(by: str) -> marking.Person:
    return marking.Person(name=by, on_page=True)


def _unit(app: str) -> str:
    return REMAINDER if app == showing.title(REMAINDER) else app
