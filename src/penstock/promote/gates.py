"""What has to be green before a change is merged, each gate a pure function of what is known and of the time.

In: a `Situation`. Out: one `Verdict` per gate: passed, waiting (until when, if that is known), or failed because of what.
The same answers stand in the pull request, in commit statuses, in `status` and in `explain`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from penstock.model.pipeline import Environment, Freeze, Gates, Hold
from penstock.model.question import Answer
from penstock.model.values import CommitId, EnvName
from penstock.promote import calendar, checking
from penstock.promote.evidence import Evidence

State = Literal["passed", "waiting", "failed"]
Who = Literal["time", "machine", "person", "nobody"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one gate says."""

    gate: str
    state: State
    text: str
    """One clause: 'healthy in dev for 31 min', '0 of 1 approvals'."""
    until: datetime | None = None
    """When waiting will end by itself, if that is known."""
    who: Who = "nobody"
    """What it waits for: time passing, a machine finishing, or a person acting."""
    need: str = ""
    """What has to be done, for a sentence that begins with it: 'one approval from team web'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """An approving review of exactly the content that would be merged."""

    user: str
    when: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A commit status on the head of the pull request."""

    context: str
    state: str
    creator: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything the gates of one promotion look at."""

    unit: str
    target: Environment
    commit: CommitId
    """The source environment's commit that would be promoted."""
    commits: tuple[CommitId, ...] = ()
    """Every commit of the source environment that would travel, newest first."""
    evidence: tuple[Evidence, ...]
    """One per environment of `promote_from`."""
    approvals: tuple[Approval, ...] = ()
    rejections: tuple[str, ...] = ()
    """Logins whose newest review asks for changes."""
    author: str = ""
    """Who opened the pull request: no approval of theirs counts."""
    change_authors: tuple[str, ...] = ()
    """Logins of who wrote the commits that travel."""
    teams: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Team name -> logins."""
    statuses: tuple[Status, ...] = ()
    odd: str = ""
    """Why the result would not be the source's configuration, '' when it would be."""
    broken: tuple[str, ...] = ()
    """References between rendered objects of the target that the change would break, each a clause with its place."""
    answers: Mapping[str, Answer] = field(default_factory=dict)
    """What the servers that checks ask said, by the name of the check."""
    freezes: tuple[Freeze, ...] = ()
    holds: tuple[Hold, ...] = ()
    now: datetime


def judge(situation: Situation) -> tuple[Verdict, ...]:
    """Every gate the target environment has, in the order people read them."""
    found = [verdict for gate in GATES for verdict in gate(situation)]
    return tuple(found)


def green(verdicts: Sequence[Verdict]) -> bool:
    return all(verdict.state == "passed" for verdict in verdicts)


def healthy(situation: Situation) -> list[Verdict]:
    """It ran healthy, at this digest, wherever it comes from."""
    if not situation.target.gates.healthy:
        return []
    found = []
    for evidence in situation.evidence:
        name = f"healthy in {evidence.environment}"
        match evidence.state:
            case "healthy":
                found.append(Verdict(gate="healthy", state="passed", text=f"{name}, {evidence.reason}"))
            case "failed":
                found.append(Verdict(gate="healthy", state="failed", text=f"not {name}: {evidence.reason}", who="person"))
            case _:
                found.append(Verdict(gate="healthy", state="waiting", text=f"not {name} yet: {evidence.reason}", who="machine"))
    if not situation.evidence:
        found.append(Verdict(gate="healthy", state="failed", text="there is no environment it could have run in", who="person"))
    return found


def soak(situation: Situation) -> list[Verdict]:
    """For long enough, without a break."""
    wanted = situation.target.gates.soak
    if not wanted:
        return []
    begun = [evidence.since if evidence.state == "healthy" else None for evidence in situation.evidence]
    since = [moment for moment in begun if moment is not None]
    ended = [evidence.until for evidence in situation.evidence if evidence.until]
    if len(since) < len(begun) or not begun:
        return [Verdict(gate="soak", state="waiting", text=f"soak of {span(wanted)} begins once it is healthy", who="machine")]
    done = min([situation.now, *ended]) - max(since)
    if done >= wanted:
        return [Verdict(gate="soak", state="passed", text=f"ran healthy for {span(done)} (soak {span(wanted)})")]
    text = f"soak {span(max(done, timedelta(0)))} of {span(wanted)}"
    if ended:
        return [Verdict(gate="soak", state="failed", text=f"{text}, then it was healthy no more", who="machine")]
    return [Verdict(gate="soak", state="waiting", text=text, until=max(since) + wanted, who="time")]


def verdict(situation: Situation) -> list[Verdict]:
    """The result is the source's configuration, or a person has seen that it is not: what no environment ever ran is not
    merged by itself, however few approvals are asked for."""
    if not situation.odd:
        return [Verdict(gate="verdict", state="passed", text="same configuration but for what is meant to differ")]
    seen = _counted(situation, None)
    if seen:
        return [Verdict(gate="verdict", state="passed", text=f"{situation.odd}, seen by {', '.join(seen)}")]
    return [Verdict(gate="verdict", state="waiting", text=f"{situation.odd}: a person has to approve that", who="person")]


def references(situation: Situation) -> list[Verdict]:
    """What the target's objects say of each other holds afterwards too: no key, port, name or label got lost between them."""
    if not situation.target.gates.references:
        return []
    if not situation.broken:
        return [Verdict(gate="references", state="passed", text="no reference between objects breaks")]
    more = f", and {len(situation.broken) - 1} more" if len(situation.broken) > 1 else ""
    return [Verdict(gate="references", state="failed", text=f"would break {situation.broken[0]}{more}", who="person")]


def soaked(evidence: Evidence, rules: Gates, now: datetime) -> bool:
    """Whether these gates let content go that ran so: healthy, and for long enough."""
    if evidence.state != "healthy":
        return False
    since, until = evidence.since, evidence.until or now
    return not rules.soak or (since is not None and until - since >= rules.soak)


def approvals(situation: Situation) -> list[Verdict]:
    """Enough different people, allowed to, other than whoever opened or wrote it, for exactly this content."""
    rules = situation.target.gates
    if situation.rejections:
        unhappy = ", ".join(sorted(set(situation.rejections)))
        return [Verdict(gate="approvals", state="failed", text=f"changes requested by {unhappy}", who="person")]
    if not rules.approvals:
        return []
    allowed = _allowed(rules.approvers, situation.teams)
    names = _counted(situation, allowed)
    whom = f" from {', '.join(approver.replace('team:', 'team ') for approver in rules.approvers)}" if rules.approvers else ""
    if len(names) >= rules.approvals:
        return [Verdict(gate="approvals", state="passed", text=f"approved by {', '.join(names)}")]
    own = sorted(_able(situation, allowed) - set(names))
    void = f" ({', '.join(own)} wrote it, which does not count)" if own else ""
    text = f"{len(names)} of {rules.approvals} approval{'s' if rules.approvals > 1 else ''}{whom}{void}"
    missing = rules.approvals - len(names)
    more = "more " if names else ""
    need = f"{'one' if missing == 1 else missing} {more}approval{'s' if missing > 1 else ''}{whom}"
    return [Verdict(gate="approvals", state="waiting", text=text, who="person", need=need)]


def _counted(situation: Situation, allowed: set[str] | None) -> list[str]:
    """Who approved and may: one of those allowed where only some are, and none of those who wrote it."""
    # Forges compare logins without regard to case.
    wrote = set() if situation.target.gates.by_authors else {login.casefold() for login in situation.change_authors}
    return sorted(user for user in _able(situation, allowed) if user.casefold() not in wrote)


def _able(situation: Situation, allowed: set[str] | None) -> set[str]:
    """Who approved, without regard to who wrote it."""
    approved = {one.user for one in situation.approvals if one.user != situation.author}
    return approved if allowed is None else approved & allowed


def _allowed(approvers: Sequence[str], teams: Mapping[str, Sequence[str]]) -> set[str] | None:
    if not approvers:
        return None
    allowed: set[str] = set()
    for approver in approvers:
        team = approver.removeprefix("team:")
        allowed |= {approver} if team == approver else set(teams.get(team, ()))
    return allowed


def window(situation: Situation) -> list[Verdict]:
    """Now is inside one of the target's windows."""
    windows = situation.target.gates.windows
    if not windows:
        return []
    if any(calendar.is_open(one, situation.now) for one in windows):
        return [Verdict(gate="window", state="passed", text="inside the window")]
    opens = min((moment for one in windows if (moment := calendar.next_open(one, situation.now))), default=None)
    text = f"outside the window {' or '.join(calendar.show(one) for one in windows)}"
    return [Verdict(gate="window", state="waiting", text=text, until=opens, who="time")]


def frozen(freezes: Sequence[Freeze], target: EnvName, now: datetime) -> tuple[Freeze, ...]:
    """Those in force for an environment."""
    return tuple(one for one in freezes if _concerns(one.environments, target) and _in_force(one.since, one.until, now))


def freeze(situation: Situation) -> list[Verdict]:
    """Nobody stopped the line."""
    found = []
    for one in frozen(situation.freezes, situation.target.name, situation.now):
        by = f" by {one.by}" if one.by else ""
        who: Who = "time" if one.until else "person"
        text, need = f"frozen{by}: {one.reason}", f"unfreeze {situation.target.name} when it may go on (frozen{by}: {one.reason})"
        found.append(Verdict(gate="freeze", state="waiting", text=text, until=one.until, who=who, need=need))
    return found


def hold(situation: Situation) -> list[Verdict]:
    """Nobody holds this unit or one of these commits back."""
    found = []
    for one in situation.holds:
        if one.field or not holds(one, situation.unit, situation.target.name, situation.now):
            continue  # A field that is held does not travel; the rest may.
        if one.commit and not _travels(one.commit, situation):
            continue
        by = f" by {one.by}" if one.by else ""
        who: Who = "time" if one.until else "person"
        what = one.commit[:10] or one.unit or situation.unit
        text, need = f"held back{by}: {one.reason}", f"penstock release {what}, when it may go (held back{by}: {one.reason})"
        found.append(Verdict(gate="hold", state="waiting", text=text, until=one.until, who=who, need=need))
    return found


def holds(one: Hold, unit: str, target: EnvName, now: datetime) -> bool:
    """Whether a hold is in force for a unit on its way into an environment."""
    return one.unit in ("", unit) and _concerns(one.environments, target) and _in_force(None, one.until, now)


def statuses(situation: Situation) -> list[Verdict]:
    """The commit statuses the target asks for, by the account it trusts."""
    found = []
    for required in situation.target.gates.statuses:
        name = f"status {required.context}"
        matching = [status for status in situation.statuses if status.context == required.context]
        trusted = [status for status in matching if not required.creator or status.creator == required.creator]
        if any(status.state == "success" for status in trusted):
            found.append(Verdict(gate=name, state="passed", text=f"{required.context} succeeded"))
        elif any(status.state in ("failure", "error") for status in trusted):
            found.append(Verdict(gate=name, state="failed", text=f"{required.context} failed", who="person"))
        else:
            other = ", but not by " + required.creator if matching and not trusted else ""
            text = f"{required.context} has no result yet{other}"
            found.append(Verdict(gate=name, state="waiting", text=text, who="machine"))
    return found


def checks(situation: Situation) -> list[Verdict]:
    """What endpoints and metrics say."""
    rules, answers = situation.target.gates, situation.answers
    found = [(one.name, checking.http(one, answers.get(one.name))) for one in rules.http]
    found += [(one.name, checking.metric(one, answers.get(one.name))) for one in rules.metrics]
    return [
        Verdict(
            gate=f"check {name}",
            state=one.state,
            text=one.text,
            who="nobody" if one.state == "passed" else "machine" if one.by_itself else "person",
        )
        for name, one in found
    ]


GATES: tuple[Callable[[Situation], list[Verdict]], ...] = (
    hold,
    freeze,
    healthy,
    soak,
    verdict,
    references,
    statuses,
    checks,
    approvals,
    window,
)
"""Every gate, in the order people read them."""


def _concerns(environments: Sequence[str], name: EnvName) -> bool:
    return not environments or name in environments


def _in_force(since: datetime | None, until: datetime | None, now: datetime) -> bool:
    return (since is None or since <= now) and (until is None or now < until)


def _travels(commit: str, situation: Situation) -> bool:
    return any(one.startswith(commit) for one in (situation.commit, *situation.commits))


def span(duration: timedelta) -> str:
    """A duration for people, at most two units: '11 min', '1 h 30 min', '3 d'."""
    seconds = max(0, int(duration.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60 % 60, seconds // 3600 % 24, seconds // 86400
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min"


def clock_time(moment: datetime) -> str:
    """A moment for people, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
