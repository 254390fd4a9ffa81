"""What happened between two looks. In: facts before and after. Out: messages, each with a key that names the news.

Level-triggered like everything else: nothing but the two looks is compared, so news that was missed while nobody looked is
told at the next look, and the same two looks always give the same messages.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TypedDict

from penstock.model.notification import EVENTS
from penstock.notify.facts import Environment, Facts, Guard, Landed, Message, Promotion


class _About(TypedDict, total=False):
    unit: str
    commit: str
    pull: int
    url: str


def settled(before: Facts | None, after: Facts) -> Facts:
    """The facts with what is only passing left out: an environment that is on its way is still as it was, so that from
    failing over trying again to failing is no news, and from failing over trying again to healthy is."""
    was = {one.name: one for one in before.environments} if before else {}

    def one(now: Environment) -> Environment:
        old = was.get(now.name)
        if now.state == "moving" and old is not None and old.state in ("failing", "silent"):
            return replace(now, state=old.state, why=old.why, commit=old.commit)
        return now

    return replace(after, environments=tuple(map(one, after.environments)))


def news(before: Facts | None, after: Facts) -> tuple[Message, ...]:
    """What to tell. The first look ever tells nothing but what is wrong now: everything else is old news."""
    first = before is None
    was = before or Facts(fleet=after.fleet)
    found: list[Message] = []
    for environment in after.environments:
        old = next((one for one in was.environments if one.name == environment.name), None)
        found += _environment(after.fleet, old, environment)
    if first:
        return tuple(found)
    for promotion in after.promotions:
        known = next((one for one in was.promotions if _same(one, promotion)), None)
        found += _promotion(after.fleet, known, promotion)
    known_landed = {(one.commit, one.environment, one.unit) for one in was.landed}
    for landed in reversed(after.landed):
        if (landed.commit, landed.environment, landed.unit) not in known_landed:
            found.append(_landed(after.fleet, landed))
    found += [_guard(after.fleet, guard, "begun") for guard in after.guards if guard not in was.guards]
    found += [_guard(after.fleet, guard, "ended") for guard in was.guards if guard not in after.guards]
    return tuple(found)


def _environment(fleet: str, old: Environment | None, now: Environment) -> Iterator[Message]:
    was = old.state if old else "healthy"
    details = (("why", now.why), ("kustomization", now.object))
    if now.state == "failing" and (was != "failing" or (old and (old.commit, _cause(old.why)) != (now.commit, _cause(now.why)))):
        yield _message(
            "environment.failing",
            fleet,
            "{} is failing at {}",
            (now.name, now.commit[:7] or "?"),
            now.name,
            details=details,
            commit=now.commit,
            identity=(now.commit, _cause(now.why)),
        )
    if now.state == "silent" and was != "silent":
        yield _message(
            "environment.silent",
            fleet,
            "the cluster of {} does not answer",
            (now.name,),
            now.name,
            details=details,
            identity=(now.why,),
        )
    if now.state == "healthy" and was in ("failing", "silent"):
        yield _message(
            "environment.recovered",
            fleet,
            "{} is healthy again at {}",
            (now.name, now.commit[:7]),
            now.name,
            commit=now.commit,
            identity=(was, now.commit, _cause(old.why) if old else ""),
        )
    if now.drift and now.drift != (old.drift if old else ""):
        yield _message(
            "environment.drift",
            fleet,
            "{} is not as Git says",
            (now.name,),
            now.name,
            details=(("objects", now.drift), details[1]),
            commit=now.commit,
            identity=(now.drift,),
        )
    if now.held and now.held != (old.held if old else ""):
        yield _message(
            "prune.held",
            fleet,
            "a prune in {} waits for consent",
            (now.name,),
            now.name,
            details=(("why", now.held), details[1]),
            commit=now.commit,
            identity=(now.held,),
        )


def _cause(why: str) -> str:
    """A failure without what is another number every time: 'timeout after 30.2s'."""
    return re.sub(r"(\d+(\.\d+)?(ms|[smh])?)+", "#", why)


def _promotion(fleet: str, old: Promotion | None, now: Promotion) -> Iterator[Message]:
    what = (title_of(now.unit), now.source, now.target)
    details = (("change", _change(now.subject, now.author)), ("waits for", "; ".join(now.waits)))
    rest: _About = {"unit": now.unit, "commit": now.commit, "pull": now.pull, "url": now.url}
    if now.conflicts:
        if old is None or (old.conflicts, old.commit) != (now.conflicts, now.commit):
            count = f"{now.conflicts} field{'s need' if now.conflicts > 1 else ' needs'} a decision"
            yield _message(
                "promotion.conflict",
                fleet,
                "{} from {} to {}: " + count,
                what,
                now.target,
                details=details[:1],
                identity=(now.commit, str(now.conflicts)),
                **rest,
            )
        return
    if now.pull and (old is None or old.pull != now.pull):
        yield _message(
            "promotion.opened",
            fleet,
            "{} from {} to {} is proposed",
            what,
            now.target,
            details=details,
            identity=(str(now.pull),),
            **rest,
        )
    if now.pull and now.waits and (old is None or old.waits != now.waits or old.pull != now.pull):
        yield _message(
            "promotion.waiting",
            fleet,
            "{} from {} to {} waits for a person",
            what,
            now.target,
            details=details,
            identity=(str(now.pull), now.commit, *now.waits),
            **rest,
        )


def _landed(fleet: str, one: Landed) -> Message:
    unit = title_of(one.unit)
    details = [("change", _change(one.subject, one.author)), ("by", one.by)]
    rest: _About = {"unit": one.unit, "commit": one.commit, "pull": one.pull}
    identity = one.commit, one.unit
    if one.kind == "rollback":
        return _message(
            "promotion.rolled-back",
            fleet,
            "{} in {} was rolled back",
            (unit, one.environment),
            one.environment,
            details=tuple(details),
            identity=identity,
            **rest,
        )
    if one.kind == "bypass":
        details.insert(0, ("past", ", ".join(one.past) or "no pull request of a promotion"))
        return _message(
            "promotion.bypass",
            fleet,
            "{} in {} was changed past the gates",
            (unit, one.environment),
            one.environment,
            details=tuple(details),
            identity=identity,
            **rest,
        )
    return _message(
        "promotion.merged",
        fleet,
        "{} from {} to {} is merged",
        (unit, one.source, one.environment),
        one.environment,
        details=tuple(details),
        identity=identity,
        **rest,
    )


def _guard(fleet: str, guard: Guard, what: str) -> Message:
    words = {"begun": "is in force", "ended": "is over"}[what]
    until = guard.until if what == "begun" else ""
    return _message(
        f"{guard.kind}.{what}",
        fleet,
        f"a {guard.kind} of {{}} {words}",
        (guard.about,),
        ",".join(guard.environments),
        unit=guard.unit,
        details=(("reason", guard.reason), ("by", guard.by), ("until", until)),
        identity=(guard.about, guard.reason, guard.by, guard.until),
    )


def _message(
    event: str,
    fleet: str,
    headline: str,
    quoted: tuple[str, ...],
    environment: str,
    *,
    identity: tuple[str, ...],
    unit: str = "",
    details: tuple[tuple[str, str], ...] = (),
    commit: str = "",
    pull: int = 0,
    url: str = "",
) -> Message:
    seed = "\0".join((event, fleet, environment, unit, *identity))
    return Message(
        event=event,
        severity=EVENTS[event],
        fleet=fleet,
        headline=headline,
        quoted=quoted,
        environment=environment,
        unit=unit,
        details=tuple((name, text) for name, text in details if text),
        commit=commit,
        pull=pull,
        url=url,
        key=hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()[:20],
    )


def _same(one: Promotion, other: Promotion) -> bool:
    return (one.unit, one.target) == (other.unit, other.target)


def _change(subject: str, author: str) -> str:
    return f"{subject} ({author})" if subject and author else subject


def title_of(unit: str) -> str:
    """A unit's name for people."""
    return "the environment" if unit.startswith("_") else unit
