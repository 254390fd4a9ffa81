"""The remote clusters that `spec.kubeConfig` points at: a connection and a live view for each kubeconfig in use.

In: the content of a Secret. Out: a `Remote`. A kubeconfig comes from a tenant, so it may bring nothing that runs or reads
here: no program, no auth provider, no file, no unchecked certificate (CVE-2022-24817). A changed Secret gets a new
connection; the old one ends with its watches.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penstock.apply import ownership
from penstock.controllers.live import LiveView, OnTouch
from penstock.model.errors import InputError, Place, Problem
from penstock.ports.clock import Clock

if TYPE_CHECKING:
    from penstock.adapters.kube.client import HttpCluster

LARGEST_BYTES = 1024 * 1024
RemoteKey = tuple[str, str, str]
"""Namespace, name and key of a Secret."""


@dataclass(slots=True, eq=False)
class Remote:
    """One cluster as one kubeconfig lets us in."""

    cluster: HttpCluster
    view: LiveView
    digest: str
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Remotes:
    """The remote clusters of one manager. `start` gives the tasks that their watches run in."""

    def __init__(
        self,
        clock: Clock,
        on_touch: OnTouch,
        connect: Callable[[bytes, str], HttpCluster] | None = None,
        *,
        gate: Callable[[], None] | None = None,
        undone: Sequence[tuple[str, str]] = ownership.UNDONE_MANAGERS,
    ) -> None:
        """gate: asked before every write, as on the cluster that the Kustomizations stand in."""
        self._clock = clock
        self._on_touch = on_touch
        self._connect = connect or functools.partial(connected, gate=gate)
        self._undone = undone
        self._known: dict[RemoteKey, Remote] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Give the task group that connections live in."""
        self._tasks = tasks

    async def get(self, key: RemoteKey, content: bytes) -> Remote:
        """The cluster of a kubeconfig. Raises InputError for one that is none, or that asks for what is not allowed."""
        assert self._tasks is not None
        digest = hashlib.sha256(content).hexdigest()
        known = self._known.get(key)
        if known is not None and known.digest == digest:
            await known.ready.wait()
            return known
        cluster = self._connect(content, f"{key[0]}/{key[1]}")
        if known is not None:
            known.over.set()
        made = self._known[key] = Remote(
            cluster=cluster, view=LiveView(cluster, self._clock, self._on_touch, self._undone), digest=digest
        )
        self._tasks.create_task(_kept_open(made), name=f"remote {'/'.join(key)}")
        await made.ready.wait()
        return made

    def keep(self, keys: Collection[RemoteKey]) -> None:
        """Let go of all others."""
        for key in [key for key in self._known if key not in keys]:
            self._known.pop(key).over.set()


class _Over(Exception):  # noqa: N818 - not an error: the way out of a task group
    pass


async def _kept_open(remote: Remote) -> None:
    try:
        async with asyncio.TaskGroup() as tasks:
            remote.view.start(tasks)
            remote.ready.set()
            await remote.over.wait()
            raise _Over
    except* _Over:
        pass
    finally:
        await remote.cluster.close()


def connected(content: bytes, name: str, gate: Callable[[], None] | None = None) -> HttpCluster:
    """A cluster by the content of a tenant's kubeconfig; no request is sent yet. Raises InputError."""
    import dataclasses

    import yaml

    from penstock.adapters.kube import kubeconfig
    from penstock.adapters.kube.client import HttpCluster

    where = f"Secret/{name}"
    if len(content) > LARGEST_BYTES:
        raise _wrong(where, f"it is larger than {LARGEST_BYTES} bytes")
    try:
        # credentials: neither the parser's message nor the value may be shown
        parsed = yaml.load(content, Loader=_loader())  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError):
        raise _wrong(where, "it is not YAML") from None
    if not isinstance(parsed, dict):
        raise _wrong(where, "it is not a kubeconfig")
    access = kubeconfig.parse(parsed, name=where, inline_only=True)
    return HttpCluster(dataclasses.replace(access, name=name), gate=gate)


def _wrong(where: str, what: str) -> InputError:
    return InputError([Problem(what=f"the kubeconfig cannot be used: {what}", where=Place(path=where), code="KubeconfigInvalid")])


def _loader() -> Any:
    import yaml

    class NoAliases(yaml.SafeLoader):
        """A kubeconfig needs no aliases, and they can expand without end."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("aliases")
            return super().compose_node(parent, index)

    return NoAliases
