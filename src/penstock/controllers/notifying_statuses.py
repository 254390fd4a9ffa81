"""Commit statuses of what environments run, and comments on pull requests. In: facts, messages. Out: writes to the forge.

The context is 'kustomization/<environment>/<cluster>', the last part being the first eight digits of the cluster's own
identity (the uid of its kube-system namespace): two clusters that sync one repository never overwrite each other's status.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from penstock.model.errors import PenstockError, RefusedError
from penstock.model.values import CommitId, EnvName
from penstock.notify import wording
from penstock.notify.facts import Environment, Message
from penstock.ports.clock import Clock
from penstock.ports.cluster import Cluster
from penstock.ports.forge import CommitStatus, Forge, StatusState

_log = logging.getLogger(__name__)
_STATES: Mapping[str, StatusState] = {"healthy": "success", "failing": "failure", "moving": "pending"}
_DESCRIPTION = 140
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 5.0, 300.0
_PUBLISHED = 1024


@dataclass(slots=True, kw_only=True)
class Statuses:
    """Publishes for one repository; the newest wish of each environment counts."""

    forge: Forge
    clusters: Mapping[EnvName, Cluster]
    clock: Clock
    fleet: str = ""
    _wanted: dict[str, Environment] = field(default_factory=dict)
    _published: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    _ids: dict[str, str] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def wanted(self, environments: Sequence[Environment]) -> None:
        """What is to be shown; returns at once."""
        self._wanted |= {one.name: one for one in environments if one.commit and one.state in _STATES}
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled; a forge that does not answer is asked less and less often."""
        failures = 0
        while True:
            await self._wake.wait()
            self._wake.clear()
            for name, environment in list(self._wanted.items()):
                try:
                    await self.publish(environment)
                except PenstockError as error:
                    _log.warning("commit status of %s: %s", name, error.what)
                    if not isinstance(error, RefusedError):
                        failures += 1
                        await self.clock.sleep(min(_PAUSE_SECONDS * 2 ** min(failures, 8), _LONGEST_PAUSE_SECONDS))
                        self._wake.set()
                        break
                else:
                    failures = 0
                if self._wanted.get(name) is environment:
                    del self._wanted[name]

    async def publish(self, environment: Environment) -> None:
        """Set the status where it is another one than the forge shows. Raises RemoteError."""
        context = await self.context(environment.name)
        state = _STATES[environment.state]
        words = wording.clean(environment.why or {"success": "applied and healthy", "pending": "being applied"}.get(state, ""))
        description = words[:_DESCRIPTION]
        key = environment.name, environment.commit
        if self._published.get(key) == (state, description):
            return
        commit = CommitId(environment.commit)
        shown = {one.context: (one.state, one.description) for one in await self.forge.statuses(commit)}
        if shown.get(context) != (state, description):
            await self.forge.set_status(commit, CommitStatus(context=context, state=state, description=description))
        if len(self._published) > _PUBLISHED:
            self._published.clear()
        self._published[key] = state, description

    async def context(self, environment: str) -> str:
        """'kustomization/prod/1f0c9a2e'."""
        if environment not in self._ids:
            self._ids[environment] = await self._identity(environment)
        return f"kustomization/{environment}/{self._ids[environment]}"

    async def _identity(self, environment: str) -> str:
        cluster = self.clusters.get(EnvName(environment))
        if cluster is not None and (namespaces := await cluster.resource("", "Namespace", "v1")) is not None:
            found = await cluster.get(namespaces, "", "kube-system")
            if found is not None and (uid := str((found.get("metadata") or {}).get("uid") or "")):
                return uid.replace("-", "")[:8]
        name = cluster.name if cluster is not None else environment
        return hashlib.sha256(f"{self.fleet}\0{name}".encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comments:
    """A sink: one comment for each event on the event's pull request, written anew when there is more of it."""

    forge: Forge
    masked: tuple[str, ...] = ()

    async def send(self, message: Message) -> None:
        if not message.pull:
            return
        mark = f"<!-- penstock notification {message.event} -->"
        body = f"{wording.markdown(message, self.masked)}\n{mark}"
        login = await self.forge.whoami()
        for comment in await self.forge.comments(message.pull):
            if comment.user == login and mark in comment.body:
                if comment.body.strip() != body.strip():
                    await self.forge.update_comment(comment.id, body)
                return
        await self.forge.comment(message.pull, body)
