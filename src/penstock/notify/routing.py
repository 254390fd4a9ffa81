"""Who is told. In: messages and the rules from Git. Out: (target, message) pairs, each once, in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penstock.model.notification import SEVERITIES, STATUSES, Notification
from penstock.notify.facts import Message


def route(messages: Iterable[Message], rules: Sequence[Notification]) -> tuple[tuple[str, Message], ...]:
    """Every delivery; two rules that name one target for one message make one delivery."""
    found: dict[tuple[str, str], tuple[str, Message]] = {}
    for message in messages:
        for rule in rules:
            if concerns(rule, message):
                for target in rule.to:
                    if target != STATUSES:
                        found.setdefault((target, message.key), (target, message))
    return tuple(found.values())


def concerns(rule: Notification, message: Message) -> bool:
    """Whether a rule speaks of a message. A freeze of several environments concerns the rules of each."""
    if rule.events and not any(covers(pattern, message.event) for pattern in rule.events):
        return False
    here = set(message.environment.split(",")) - {""}
    if rule.environments and here and not here & set(rule.environments):
        return False
    if rule.apps and message.unit and message.unit not in rule.apps:
        return False
    return _grade(message.severity) >= _grade(rule.severity)


def covers(pattern: str, event: str) -> bool:
    """Whether 'promotion.*' or a whole name means an event."""
    return pattern == event or (pattern.endswith(".*") and event.startswith(pattern[:-1]))


def with_statuses(rules: Iterable[Notification], environment: str) -> bool:
    """Whether somebody wants commit statuses of an environment."""
    return any(STATUSES in rule.to and (not rule.environments or environment in rule.environments) for rule in rules)


def _grade(severity: str) -> int:
    return next((grade for grade, name in enumerate(SEVERITIES) if name == severity), 0)
