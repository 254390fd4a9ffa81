"""The gates that ask another server: an HTTP endpoint, a Prometheus query. Which question, and what an answer means.

In: a rule and what it is asked about. Out: a `Question`; of an `Answer`, whether it lets the change go. Asking is not done
here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from penstock.model import address
from penstock.model.pipeline import Gates, HttpCheck, MetricQuery
from penstock.model.question import Answer, Question

State = Literal["passed", "waiting", "failed"]
VARIABLES = ("app", "environment", "source", "commit")
"""What `${…}` may name in an address or a query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one answer means."""

    state: State
    text: str
    by_itself: bool = True
    """Whether it may become another without a person doing something here."""


def questions(rules: Gates, about: Mapping[str, str]) -> Iterator[tuple[str, Question]]:
    """(name of the check, what to ask) of every check; `about` has the values of VARIABLES."""
    for check in rules.http:
        yield check.name, Question(url=_filled(check.url, about), timeout=check.timeout, credential=check.credential)
    for metric in rules.metrics:
        asked = metric.query
        for name in VARIABLES:
            # Inside of PromQL a value stands in quotes.
            value = about.get(name, "").replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")
            asked = asked.replace(f"${{{name}}}", value)
        url = f"{metric.address.rstrip('/')}/api/v1/query?query={address.quote(asked)}"
        yield metric.name, Question(url=url, timeout=metric.timeout, credential=metric.credential)


def _filled(url: str, about: Mapping[str, str]) -> str:
    for name in VARIABLES:
        url = url.replace(f"${{{name}}}", address.quote(about.get(name, "")))
    return url


def http(check: HttpCheck, answer: Answer | None) -> Finding:
    """Whether an endpoint said what it should."""
    if silent := _silent(check.name, answer):
        return silent
    assert answer is not None
    wanted = answer.status in check.statuses if check.statuses else 200 <= answer.status < 300
    if not wanted:
        return Finding(state="failed", text=f"{check.name} answered {answer.status}")
    if check.contains and check.contains.encode() not in answer.body:
        return Finding(state="failed", text=f"{check.name} answered without {check.contains!r}")
    return Finding(state="passed", text=f"{check.name} answered {answer.status}")


def metric(query: MetricQuery, answer: Answer | None) -> Finding:
    """Whether every value of a query is inside its bounds."""
    if silent := _silent(query.name, answer):
        return silent
    assert answer is not None
    try:
        values = _values(answer)
    except ValueError as error:
        return Finding(state="failed", text=f"{query.name}: {error}", by_itself=answer.status >= 500)
    if not values:
        return Finding(state="waiting", text=f"{query.name} has no data yet")
    for value in values:
        if math.isnan(value):
            return Finding(state="waiting", text=f"{query.name} has no number yet")
        if query.below is not None and not value < query.below:
            return Finding(state="failed", text=f"{query.name} is {value:g}, not below {query.below:g}")
        if query.above is not None and not value > query.above:
            return Finding(state="failed", text=f"{query.name} is {value:g}, not above {query.above:g}")
    bounds = " and ".join(
        f"{word} {bound:g}" for word, bound in (("below", query.below), ("above", query.above)) if bound is not None
    )
    worst = max(values) if query.below is not None else min(values)
    return Finding(state="passed", text=f"{query.name} is {worst:g}, {bounds}")


def _silent(name: str, answer: Answer | None) -> Finding | None:
    if answer is None:
        return Finding(state="waiting", text=f"{name} was not asked yet")
    if answer.problem:
        state: State = "failed" if answer.refused else "waiting"
        return Finding(state=state, text=f"{name} cannot be asked: {answer.problem}", by_itself=not answer.refused)
    return None


def _values(answer: Answer) -> list[float]:
    """The values of an instant query. Raises ValueError in one clause when it is something else."""
    try:
        body: Any = json.loads(answer.body)
    except ValueError:
        raise ValueError(f"answered {answer.status} with something that is not Prometheus' JSON") from None
    if not isinstance(body, dict) or body.get("status") != "success":
        said = str(body.get("error") or "") if isinstance(body, dict) else ""
        raise ValueError(f"Prometheus refuses the query: {said[:120] or answer.status}")
    data = body.get("data")
    kind, result = (data.get("resultType"), data.get("result")) if isinstance(data, dict) else (None, None)
    try:
        if kind == "scalar":
            return [float(result[1])]  # type: ignore[index]
        if kind == "vector":
            return [float(sample["value"][1]) for sample in result]  # type: ignore[union-attr]
    except (TypeError, KeyError, IndexError, ValueError):
        pass
    raise ValueError(f"the query gives {kind or 'nothing'}, not a vector or a scalar")
