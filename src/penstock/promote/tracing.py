"""One change as one trace, from the commit to healthy in the last environment. In: commits, moments. Out: spans, as values.

Every id is computed from commits, so whoever looks at a later stage, in another process or after a restart, joins the same
trace, and a span that is told twice is the same span. A commit that carries `Penstock-Trace` (a W3C traceparent; the pipeline
that made the commit can write it) puts the change into that trace; any other begins one of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from penstock.model.values import CommitId

TRAILER = "Penstock-Trace"
_PARENT = re.compile(r"^Penstock-Trace:[ \t]*(00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2})[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Where a change's spans belong."""

    trace: str
    """32 hex digits."""
    root: str
    """16 hex digits: the span of the whole change, parent of all others."""
    parent: str = ""
    """Of the root: the span in somebody else's trace, '' when the trace is ours."""

    def __str__(self) -> str:
        """As a traceparent."""
        return f"00-{self.trace}-{self.root}-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One stage of a change that is over."""

    name: str
    trace: str
    id: str
    parent: str
    start: datetime
    end: datetime
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    failed: str = ""
    """Why it ended badly."""


def context_of(commit: CommitId, message: str) -> Context:
    """The context of the change that a person's commit began."""
    found = _PARENT.search(message)
    if found is not None and int(found[2], 16) and int(found[3], 16):
        return Context(trace=found[2], root=_digits(f"{found[2]} {commit}", 16), parent=found[3])
    return Context(trace=_digits(f"trace {commit}", 32), root=_digits(f"root {commit}", 16))


def stage(context: Context, name: str, *about: str) -> str:
    """The id of the span of one stage."""
    return _digits(" ".join((context.trace, name, *about)), 16)


def _digits(seed: str, length: int) -> str:
    return hashlib.sha256(seed.encode()).hexdigest()[:length]
