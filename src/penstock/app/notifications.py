"""Targets of notifications, from the fleet file. In: its `notifications`. Out: a running notifier.

notifications:
  targets:
  - name: team                  # what `to:` of a rule in Git says
    kind: slack                 # slack, teams, webhook, email, apprise
    urlFile: secrets/slack      # or urlEnv: SLACK_URL
  - {name: ci, kind: webhook, urlFile: secrets/ci-url, keyFile: secrets/ci-key}
  addressesFromGit: false       # whether rules may name https:// addresses of the public internet
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from penstock.model import errors
from penstock.model.notification import COMMENTS

if TYPE_CHECKING:
    from penstock.app.world import World
    from penstock.controllers.notifying import Notifier
    from penstock.controllers.promotion import Controller
    from penstock.notify.facts import Message
    from penstock.ports.sink import Sink

Kind = Literal["slack", "teams", "webhook", "email", "apprise"]
KINDS: tuple[Kind, ...] = ("slack", "teams", "webhook", "email", "apprise")
FIELDS = ("targets", "addressesFromGit")
TARGET_FIELDS = ("name", "kind", "urlFile", "urlEnv", "keyFile", "keyEnv", "perMinute")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetAt:
    """Where the secrets of one target are."""

    name: str
    kind: Kind
    url_file: Path | None = None
    url_env: str = ""
    key_file: Path | None = None
    key_env: str = ""
    per_minute: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifications:
    """What the fleet file says about notifications."""

    targets: tuple[TargetAt, ...] = ()
    addresses_from_git: bool = False


def parse(value: Any, folder: Path, path: Path, problems: list[errors.Problem]) -> Notifications:
    """The `notifications` of a fleet file; what is wrong goes to `problems`."""

    def problem(where: str, what: str) -> None:
        problems.append(errors.Problem(what=f"{where} {what}", where=errors.Place(path=str(path)), code="Fleet"))

    if value is None:
        return Notifications()
    if not isinstance(value, dict):
        problem("notifications", "must be a mapping")
        return Notifications()
    for key in value:
        if key not in FIELDS:
            problem(f"notifications.{key}", f"is not a field here; known: {', '.join(FIELDS)}")
    targets: list[TargetAt] = []
    for position, entry in enumerate(value.get("targets") or ()):
        where = f"notifications.targets[{position}]"
        target = _target(entry, where, folder, problem)
        if target is not None and any(one.name == target.name for one in targets):
            problem(f"{where}.name", "is there twice")
        elif target is not None:
            targets.append(target)
    return Notifications(targets=tuple(targets), addresses_from_git=value.get("addressesFromGit") is True)


def _target(entry: Any, where: str, folder: Path, problem: Any) -> TargetAt | None:
    if not isinstance(entry, dict):
        problem(where, "must be a mapping")
        return None
    for key in entry:
        if key not in TARGET_FIELDS:
            problem(f"{where}.{key}", f"is not a field here; known: {', '.join(TARGET_FIELDS)}")
    name, kind = entry.get("name"), next((one for one in KINDS if one == entry.get("kind")), None)
    if not isinstance(name, str) or not name or "://" in name:
        problem(f"{where}.name", "must be a name")
        return None
    if kind is None:
        problem(f"{where}.kind", f"must be one of {', '.join(KINDS)}")
        return None
    if not (entry.get("urlFile") or entry.get("urlEnv")):
        problem(where, "needs urlFile or urlEnv: an address is a secret and stands in neither Git nor this file")
    rate = entry.get("perMinute", 30)
    if not isinstance(rate, int | float) or isinstance(rate, bool) or rate <= 0:
        problem(f"{where}.perMinute", "must be a number above 0")
        rate = 30

    def file(key: str) -> Path | None:
        return folder / Path(str(entry[key])).expanduser() if entry.get(key) else None

    return TargetAt(
        name=name,
        kind=kind,
        url_file=file("urlFile"),
        url_env=str(entry.get("urlEnv") or ""),
        key_file=file("keyFile"),
        key_env=str(entry.get("keyEnv") or ""),
        per_minute=float(rate),
    )


@dataclass(frozen=True, slots=True)
class _Bound:
    """A sink: a target with its sender."""

    sender: Any
    target: Any

    async def send(self, message: Message) -> None:
        await self.sender.send(self.target, message)


@contextlib.asynccontextmanager
async def notifier(world: World, controller: Controller) -> AsyncIterator[Notifier]:
    """A notifier of what this controller reports, not running yet. Raises InputError when a secret is missing."""
    from penstock.adapters.notify import Target, sending
    from penstock.controllers.notifying import Notifier
    from penstock.controllers.notifying_facts import Gatherer
    from penstock.controllers.notifying_statuses import Comments, Statuses

    found = world.fleet.notifications
    targets = {
        at.name: Target(
            name=at.name,
            kind=at.kind,
            url=_secret(at.url_file, at.url_env, f"the address of {at.name}"),
            key=_secret(at.key_file, at.key_env, f"the key of {at.name}") if at.key_file or at.key_env else "",
            per_minute=at.per_minute,
        )
        for at in found.targets
    }
    masked = frozenset(one for one in (*_own_secrets(world), *(x for at in targets.values() for x in (at.url, at.key))) if one)
    async with sending.sender(masked) as sender:
        sinks: dict[str, Sink] = {name: _Bound(sender, target) for name, target in targets.items()}
        sinks[COMMENTS] = Comments(forge=world.forge, masked=tuple(masked))

        def from_git(url: str) -> Sink:
            return _Bound(sender, Target(name=_host(url), kind="webhook", url=url, from_git=True))

        name = world.fleet.repository.url.rstrip("/").rpartition("/")[2].removesuffix(".git")
        rates: Mapping[str, float] = {one.name: one.per_minute for one in targets.values()}
        yield Notifier(
            gatherer=Gatherer(fleet=name, repo=world.repo, history=controller.surveyor.history),
            sinks=sinks,
            clock=world.clock,
            statuses=Statuses(forge=world.forge, clusters=world.clusters, clock=world.clock, fleet=name),
            from_git=from_git if found.addresses_from_git else None,
            per_minute=rates,
            memory=world.fleet.cache / "notifications.json",
        )


def _secret(file: Path | None, variable: str, what: str) -> str:
    from penstock.app import world

    text = world.secret(file) if file else os.environ.get(variable, "")
    if not text:
        where = str(file) if file else f"the environment variable {variable}"
        raise errors.invalid(f"{what} is missing: {where} is empty", code="SecretFile")
    return text


def _own_secrets(world: World) -> list[str]:
    from penstock.app import world as worlds

    files = [world.fleet.repository.password_file, world.fleet.forge.token_file]
    return [worlds.secret(one) for one in files if one is not None and one.is_file()]


def _host(url: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(url).hostname or "an address from Git"
