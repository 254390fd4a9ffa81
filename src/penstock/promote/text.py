"""The words of a promotion: pull request, commit message, conflicts. Markdown that every forge shows, and a phone too.

In: the change, its verdict and gates. Out: text. Whatever people wrote (values, names, subjects) stands in code spans with
control characters taken out, so that nothing in it is markup, a mention or a link; values of Secrets were masked before.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from penstock.merge.outcome import Conflict, Note
from penstock.model.values import MISSING, Missing
from penstock.promote import gates, records, referring, verdict
from penstock.promote.change import Change
from penstock.promote.evidence import Evidence, stamp

_MARKER = re.compile(r"<!-- penstock (\{.*?\}) -->")
LIVE = "<!-- penstock live -->"
"""Where the live check goes, once the cluster was asked."""
_ROWS = 60
_DIFF_LINES = 400
_VALUE = 80
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True, kw_only=True)
class Travelling:
    """A commit of the source environment that is in the change."""

    commit: str
    subject: str
    author: str
    email: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Everything the text is about."""

    change: Change
    commits: tuple[Travelling, ...]
    """Newest first."""
    outcome: verdict.Outcome | None
    """None when one of the sides does not render; `problem` says why."""
    problem: str = ""
    broken: tuple[referring.Broken, ...] = ()
    verdicts: tuple[gates.Verdict, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    before: Mapping[str, bytes | None] = field(default_factory=dict)
    """The target's files as they are now, for the diff; by path."""
    auto_merge: bool = True
    newer: int = 0
    """How many later revisions of the source wait behind this one."""


def clean(text: str) -> str:
    """One line without control, format and direction characters."""
    kept = (" " if char.isspace() else char for char in text if char.isspace() or not _hidden(char))
    return " ".join("".join(kept).split())


def _hidden(char: str) -> bool:
    return char in _BIDI or unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co")


def code(text: str | Missing, limit: int = _VALUE) -> str:
    """A value as a code span that ends where it should, also inside a table; '–' where there is none."""
    if isinstance(text, Missing):
        return "–"
    shown = clean(text).replace("`", "ˋ").replace("|", "\\|")
    if len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    return f"`{shown}`" if shown else "`''`"


def title(change: Change, commits: Sequence[Travelling]) -> str:
    """'Promote web: dev → staging (raise checkout timeout)'."""
    verb = {"update": "Promote", "new": "Promote new", "removal": "Remove"}[change.kind]
    subject = clean(commits[0].subject) if commits else ""
    more = f" and {len(commits) - 1} more" if len(commits) > 1 else ""
    name = records.title_of(change.unit)
    text = f"{verb} {name}: {change.source} → {change.target}" + (f" ({_cut(subject, 60)}{more})" if subject else "")
    return _cut(text, 200)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def message(change: Change, commits: Sequence[Travelling], record: records.Promotion) -> str:
    """The commit message: title, what travels, trailers that survive a squash."""
    return f"{title(change, commits)}\n\n{message_body(commits, record)}"


def message_body(commits: Sequence[Travelling], record: records.Promotion) -> str:
    """The commit message without its title."""
    lines = [f"- {one.commit[:7]} {_cut(clean(one.subject), 100)} ({clean(one.author)})" for one in commits[:20]]
    if len(commits) > 20:
        lines.append(f"- and {len(commits) - 20} more")
    return "\n".join([*lines, "", record.trailers()]).lstrip("\n")


def body(proposal: Proposal) -> str:
    """The pull request's text."""
    change = proposal.change
    parts = [f"**{_headline(proposal)}**"]
    if change.kind == "removal":
        parts.append(f"This **removes {code(records.title_of(change.unit))}** from {change.target}: {_deletions(proposal)}")
    if change.conflicts:
        parts.append(conflict_list(change.conflicts, change))
    elif proposal.outcome:
        parts.append(table(proposal))
    if proposal.broken:
        parts.append(_broken(proposal.broken))
    parts.append(_gates(proposal))
    if proposal.newer:
        one = proposal.newer == 1
        revisions = f"{proposal.newer} newer revision{'' if one else 's'} of {change.source} wait{'s' if one else ''}"
        parts.append(f"{revisions} behind it, not yet proven.")
    parts.append(LIVE)
    if notes := [note for note in change.notes if note.kind not in ("new-file", "deleted-file")]:
        parts.append(_notes(notes))
    parts += [_commits(proposal.commits), _diff(proposal), _evidence(proposal), marker(proposal)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headline(proposal: Proposal) -> str:
    change = proposal.change
    if change.conflicts:
        count = len(change.conflicts)
        return f"Cannot be merged: {count} field{'s were' if count > 1 else ' was'} changed on both sides."
    if proposal.outcome is None:
        return f"Cannot be rendered: {clean(proposal.problem)}"
    return verdict.sentence(proposal.outcome, change.source, change.commit)


def _deletions(proposal: Proposal) -> str:
    deleted = proposal.outcome.objects_deleted if proposal.outcome else ()
    if not deleted:
        return "no object of it is deployed there."
    shown = ", ".join(code(name) for name in deleted[:20])
    more = f" and {len(deleted) - 20} more" if len(deleted) > 20 else ""
    return f"once merged, {len(deleted)} object{'s' if len(deleted) > 1 else ''} will be deleted from the cluster: {shown}{more}."


def table(proposal: Proposal) -> str:
    """The difference table."""
    outcome, change = proposal.outcome, proposal.change
    if outcome is None or not outcome.rows:
        return "No rendered object changes."
    lines = [f"| | {change.source} | {change.target} before | {change.target} after | |", "|---|---|---|---|---|"]
    order = {"unexplained": 0, "beside": 1, "promoted": 2, "declared": 3, "kept": 4}
    rows = sorted(outcome.rows, key=lambda row: order[row.state])
    for row in rows[:_ROWS]:
        name = f"{clean(row.object)} {code(row.field, 160)}" if row.field else clean(row.object)
        after = f"**{code(row.after)}**" if row.after != row.before else code(row.after)
        lines.append(f"| {name} | {code(row.source)} | {code(row.before)} | {after} | {_meaning(row, change)} |")
    if len(rows) > _ROWS:
        lines.append(f"| and {len(rows) - _ROWS} more fields | | | | |")
    return "\n".join(lines)


def _meaning(row: verdict.Row, change: Change) -> str:
    match row.state:
        case "declared" if row.difference and row.difference.place:
            return f"kept, declared in {row.difference.place.path}:{row.difference.place.line}"
        case "declared":
            return "kept, declared"
        case "unexplained":
            return f"**not carried over from {change.source}**"
        case "beside":
            return f"**changes, but not to what {change.source} has**"
        case state:
            return state


def _broken(broken: Sequence[referring.Broken]) -> str:
    lines = []
    for one in broken[:30]:
        name = code(f"{one.object.kind}/{one.object.name} {one.field}", 200)
        lines.append(f"- {name}: {clean(one.what)} ({clean(str(one.place))})")
    more = [f"- and {len(broken) - 30} more"] if len(broken) > 30 else []
    return "**Would break references that hold now:**\n\n" + "\n".join([*lines, *more])


def _gates(proposal: Proposal) -> str:
    passed = [one for one in proposal.verdicts if one.state == "passed"]
    left = [one for one in proposal.verdicts if one.state != "passed"]
    lines = []
    if passed:
        lines.append("**Why it may go:** " + "; ".join(_cut(clean(one.text), 160) for one in passed) + ".")
    if left:
        lines.append("**Still needed:** " + "; ".join(_needed(one) for one in left) + ".")
    elif proposal.verdicts:
        end = "it is merged by Penstock now" if proposal.auto_merge else "a person may merge it"
        lines.append(f"**Nothing more is needed:** {end}.")
    return "\n\n".join(lines)


def _needed(one: gates.Verdict) -> str:
    until = f", until {gates.clock_time(one.until)}" if one.until else ""
    return f"{'✖ ' if one.state == 'failed' else ''}{_cut(clean(one.text), 160)}{until}"


def _notes(notes: Sequence[Note]) -> str:
    lines = [f"- {code(str(note.place or note.path), 160)}: {clean(note.text)}" for note in notes[:30]]
    return "**Look at:**\n\n" + "\n".join(lines)


def conflict_list(conflicts: Sequence[Conflict], change: Change) -> str:
    """Every conflict, as a list: the field, and the value on each side with its place."""
    lines = []
    for one in conflicts:
        lines.append(f"- {code(str(one), 160)} ({one.kind})")
        lines.append(f"  - was {code(one.base)}")
        lines.append(f"  - {change.source} {code(one.source)} {one.source_place or ''}".rstrip())
        lines.append(f"  - {change.target} {code(one.target)} {one.target_place or ''}".rstrip())
    return "\n".join(lines)


def _commits(commits: Sequence[Travelling]) -> str:
    if not commits:
        return ""
    lines = [f"- {one.commit[:7]} {code(one.subject, 120)} by {code(one.author, 60)}" for one in commits[:30]]
    return "**Commits:**\n\n" + "\n".join(lines)


def _diff(proposal: Proposal) -> str:
    """The file diff, folded; encrypted files and Secrets are only named."""
    lines: list[str] = []
    for path, after in proposal.change.files.items():
        before = proposal.before.get(path)
        if path in proposal.change.secrets or _hides(before) or _hides(after):
            lines.append(f"# {path}: holds secrets, not shown")
            continue
        old, new = _lines(before), _lines(after)
        lines += difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm="")
    if not lines:
        return ""
    shown = [_visible(line).replace("```", "ˋˋˋ") for line in lines[:_DIFF_LINES]]
    if len(lines) > _DIFF_LINES:
        shown.append(f"# and {len(lines) - _DIFF_LINES} more lines")
    return "<details><summary>file diff</summary>\n\n```diff\n" + "\n".join(shown) + "\n```\n\n</details>"


def _visible(line: str) -> str:
    return "".join(char for char in line if char == "\t" or not _hidden(char))


def _lines(data: bytes | None) -> list[str]:
    return data.decode(errors="replace").splitlines() if data else []


def _hides(data: bytes | None) -> bool:
    if not data:
        return False
    return (
        b"\0" in data[:8000]
        or re.search(rb"^\s*[\"']?(kind[\"']?:\s*[\"']?Secret\b|sops[\"']?:|secretGenerator[\"']?\s*:)|ENC\[", data, re.M)
        is not None
    )


def _evidence(proposal: Proposal) -> str:
    facts = [
        {
            "environment": one.environment,
            "state": one.state,
            "applied": one.applied,
            "digest": one.digest,
            "generation": one.generation,
            "since": stamp(one.since) if one.since else None,
        }
        for one in proposal.evidence
    ]
    if not facts:
        return ""
    text = json.dumps({"evidence": facts, "content": proposal.change.content, "digest": proposal.change.digest}, indent=1)
    return f"<details><summary>evidence as JSON</summary>\n\n```json\n{text}\n```\n\n</details>"


def marker(proposal: Proposal) -> str:
    """A hidden line by which the next pass knows what the text is about; it is never evidence."""
    change = proposal.change
    facts = {
        "unit": change.unit,
        "source": change.source,
        "target": change.target,
        "content": change.content,
        "state": state_of(proposal),
        "drafted": "blocked" if change.conflicts or proposal.problem else "",
    }
    return f"<!-- penstock {json.dumps(facts).replace('--', '-')} -->"


def state_of(proposal: Proposal) -> str:
    """A short digest over everything the text tells but durations, so that a text is renewed when it says something new."""
    change = proposal.change
    told = [
        change.content,
        change.digest,
        change.commit,
        _headline(proposal),
        [str(one) for one in change.conflicts],
        [(one.gate, one.state, one.until.isoformat() if one.until else "", one.who) for one in proposal.verdicts],
        [one.text for one in proposal.verdicts if one.gate == "approvals" or one.state == "failed"],
        proposal.auto_merge,
        proposal.newer,
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def read_marker(text: str) -> dict[str, str]:
    """The hidden line's facts, {} when there is none that can be read."""
    found = _MARKER.findall(text)
    try:
        facts = json.loads(found[-1]) if found else {}
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in facts.items()} if isinstance(facts, dict) else {}


def value_of(text: str | Missing) -> str:
    """A value for a terminal."""
    return "(absent)" if text is MISSING else clean(str(text))
