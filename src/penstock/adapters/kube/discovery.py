"""Which kinds a server serves, asked once and remembered.

In: discovery documents. Out: `ApiResource`s by group and kind. A group whose discovery fails is unknown, which is not
the same as not served: nothing may be pruned or called missing because of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.model.errors import RefusedError, RemoteError, TransientError
from penstock.ports.cluster import ApiResource

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_FRESH_SECONDS = 0.2
Fetch = Callable[[str, str], Awaitable[Any]]
"""Path and Accept header to the decoded answer."""


@dataclass(slots=True)
class _Known:
    kinds: dict[tuple[str, str], list[ApiResource]] = field(default_factory=dict)
    """By group and kind, preferred version first."""
    failing: dict[str, str] = field(default_factory=dict)
    """Groups that could not be asked, and why."""


class Discovery:
    """Discovery with a cache; a miss refreshes it once, and not more often than every `_FRESH_SECONDS`."""

    def __init__(self, fetch: Fetch, monotonic: Callable[[], float]) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self._known: _Known | None = None
        self._read_at = float("-inf")

    def forget(self) -> None:
        """Ask again next time: a CRD was just applied or removed."""
        self._known = None

    async def resource(self, group: str, kind: str, version: str | None) -> ApiResource | None:
        """The kind in the asked, else the preferred version; None when the server does not serve it."""
        known = self._known
        if known is None or _find(known, group, kind, version) is None:
            known = await self._refreshed(known)
        found = _find(known, group, kind, version)
        if found is None and (why := known.failing.get(group)):
            raise TransientError(f"the kinds of {group} are unknown for now: {why}", code="DiscoveryFailed")
        return found

    async def kinds(self) -> list[ApiResource]:
        """Every kind in its preferred version, by group and kind."""
        known = self._known if self._known is not None else await self._refreshed(None)
        return [versions[0] for _, versions in sorted(known.kinds.items())]

    async def _refreshed(self, seen: _Known | None) -> _Known:
        async with self._lock:
            if self._known is not None and self._known is not seen:
                return self._known
            if self._known is not None and self._monotonic() - self._read_at < _FRESH_SECONDS and not self._known.failing:
                return self._known
            self._known = await self._read()
            self._read_at = self._monotonic()
            return self._known

    async def _read(self) -> _Known:
        known = _Known()
        for root in ("/api", "/apis"):
            answer = await self._fetch(root, AGGREGATED)
            if answer.get("kind") == "APIGroupDiscoveryList":
                _read_aggregated(answer, known)
            else:
                await self._read_legacy(root, answer, known)
        return known

    async def _read_legacy(self, root: str, answer: Mapping[str, Any], known: _Known) -> None:
        """The older discovery, one request per group version."""
        if root == "/api":
            groups = [("", [str(version) for version in answer.get("versions", ())])]
        else:
            groups = [
                (str(group["name"]), [str(version["version"]) for version in group.get("versions", ())])
                for group in answer.get("groups", ())
            ]
        wanted = [(group, version) for group, versions in groups for version in versions]

        async def one(group: str, version: str) -> Any:
            return await self._fetch(f"/apis/{group}/{version}" if group else f"/api/{version}", "application/json")

        answers = await asyncio.gather(*(one(*each) for each in wanted), return_exceptions=True)
        for (group, version), found in zip(wanted, answers, strict=True):
            if isinstance(found, RefusedError) and found.status == 404:
                continue
            if isinstance(found, RemoteError):
                known.failing[group] = found.what
            elif isinstance(found, BaseException):
                raise found
            else:
                for each in found.get("resources", ()):
                    if "/" not in each["name"]:
                        _add(known, group, version, each["kind"], each["name"], each["namespaced"], each.get("verbs", ()))


def _read_aggregated(answer: Mapping[str, Any], known: _Known) -> None:
    for item in answer.get("items", ()):
        group = str((item.get("metadata") or {}).get("name") or "")
        for version in item.get("versions", ()):
            if version.get("freshness") == "Stale":
                known.failing[group] = "its API server does not answer"
            for each in version.get("resources", ()):
                kind = (each.get("responseKind") or {}).get("kind") or ""
                _add(
                    known,
                    group,
                    version["version"],
                    kind,
                    each["resource"],
                    each.get("scope") == "Namespaced",
                    each.get("verbs", ()),
                )


def _add(known: _Known, group: str, version: str, kind: str, plural: str, namespaced: bool, verbs: Any) -> None:
    resource = ApiResource(
        group=group, version=version, kind=kind, plural=plural, namespaced=namespaced, verbs=frozenset(map(str, verbs))
    )
    known.kinds.setdefault((group, kind), []).append(resource)


def _find(known: _Known, group: str, kind: str, version: str | None) -> ApiResource | None:
    versions = known.kinds.get((group, kind), ())
    if version is None:
        return versions[0] if versions else None
    return next((each for each in versions if each.version == version), None)
