"""The controllers' logs, read back: from the pods of a cluster, or from the file that `penstock up` writes.

In: where, what is wanted. Out: lines about Kustomizations and sources, oldest first. Lines that are no JSON, and lines about
nothing in particular, are shown only when nothing in particular is asked for.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from penstock.app import objects
from penstock.model import errors
from penstock.ports.cluster import Cluster

FILE_NAME: Final = "penstock.log"
_PART_OF: Final = "app.kubernetes.io/part-of=flux"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to show; '' is all."""

    level: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    reconcile_id: str = ""
    after: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a log."""

    ts: str
    level: str
    kind: str
    name: str
    namespace: str
    message: str
    reconcile_id: str
    error: str

    def text(self) -> str:
        """As flux shows it."""
        about = f"{self.kind}/{self.name}.{self.namespace}" if self.name else self.kind
        return " ".join(part for part in (self.ts, self.level, about, "-", self.message, self.error) if part)


async def of_pods(cluster: Cluster, namespace: str, wanted: Wanted, tail: int) -> list[Line]:
    """The lines of every controller's pods. Raises InputError when there are none, RefusedError, TransientError."""
    read = getattr(cluster, "log", None)
    pods = await objects.answered(cluster, cluster.resource("", "Pod", "v1"))
    listed = await objects.answered(cluster, cluster.list(pods, namespace, label_selector=_PART_OF)) if pods else None
    if read is None or listed is None or not listed.items:
        raise errors.invalid(
            f"no controllers run in the namespace {namespace}", hint="penstock logs --local for penstock up", code="NotFound"
        )
    lines: list[str] = []
    for pod in listed.items:
        text = await objects.answered(cluster, read(namespace, pod["metadata"]["name"], container="manager", lines=tail))
        lines += text.splitlines()
    return sorted(_parsed(lines, wanted), key=lambda line: line.ts)


def of_file(path: Path, wanted: Wanted, tail: int) -> list[Line]:
    """The lines of a file."""
    with path.open(errors="replace") as file:
        return list(_parsed(deque(file, maxlen=tail), wanted))


def _parsed(lines: Iterable[str], wanted: Wanted) -> Iterable[Line]:
    for text in lines:
        try:
            found = json.loads(text)
        except ValueError:
            continue
        if isinstance(found, dict) and _is_wanted(line := _line(found), wanted):
            yield line


def _line(found: dict[str, Any]) -> Line:
    return Line(
        ts=str(found.get("ts") or ""),
        level=str(found.get("level") or ""),
        kind=str(found.get("controllerKind") or found.get("reconciler kind") or ""),
        name=str(found.get("name") or ""),
        namespace=str(found.get("namespace") or ""),
        message=str(found.get("msg") or ""),
        reconcile_id=str(found.get("reconcileID") or ""),
        error=str(found.get("error") or ""),
    )


def _is_wanted(line: Line, wanted: Wanted) -> bool:
    if wanted.after is not None and (moment := _moment(line.ts)) is not None and moment < wanted.after:
        return False
    return (
        wanted.level in ("", line.level)
        and wanted.kind in ("", line.kind.lower())
        and wanted.name in ("", line.name)
        # what is about no object is about every namespace
        and wanted.namespace in ("", line.namespace or wanted.namespace)
        and wanted.reconcile_id in ("", line.reconcile_id)
    )


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
