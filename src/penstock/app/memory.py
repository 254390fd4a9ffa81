"""What a sandbox is like, and remembers from start to start: environments, kind of clusters, ports.

In: a state folder and what the caller asks for. Out: settled options. What was asked for must agree with what is there: a
sandbox does not change its environments or its clusters by being started otherwise.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from penstock.app import init
from penstock.model import errors

FILE_NAME = "sandbox.json"

ClusterKind = Literal["sandbox", "real"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What kind of sandbox; what is left open is as it was at the last start of the same folder, or the default."""

    environments: tuple[str, ...] = ()
    """Names in order of promotion; (): dev, staging, prod."""
    clusters: ClusterKind | None = None
    """None: sandbox."""
    contexts: Mapping[str, str] = field(default_factory=dict)
    """Environment -> context of the user's kubeconfig, in place of a cluster of ours."""
    kubeconfig: Path | None = None
    source: Path | None = None
    """A repository to start from, in place of the scaffold; only its committed main branch is taken."""
    ports: Mapping[str, int] = field(default_factory=dict)
    """'forge', 'web', 'cluster NAME' -> port; addresses stand in Git and in kubeconfigs, so they stay the same."""
    rollout_seconds: float = 1.0

    def port(self, of: str) -> int:
        """The port to take; 0 for any."""
        return self.ports.get(of, 0)


def settled(state: Path, asked: Options) -> Options:
    """The options of this start. Raises InputError when the folder's sandbox is of another kind than asked for."""
    known = _known(state)
    environments = tuple(known.get("environments") or asked.environments or init.DEFAULT_ENVIRONMENTS)
    clusters: ClusterKind = "real" if (known.get("clusters") or asked.clusters) == "real" else "sandbox"
    contexts = dict(known.get("contexts") or asked.contexts)
    differing = [
        (asked.environments, environments, "environments"),
        (asked.clusters, clusters, "clusters"),
        (asked.contexts, contexts, "contexts"),
    ]
    for wanted, there, what in differing:
        if wanted and wanted != there:
            raise errors.invalid(
                f"the sandbox in {state} was started with other {what}", hint="choose another --state", code="OtherSandbox"
            )
    if unknown := sorted(contexts.keys() - set(environments)):
        raise errors.invalid(
            f"--context names {', '.join(unknown)}, which is not among the environments", code="UnknownEnvironment"
        )
    kubeconfig = asked.kubeconfig or (Path(known["kubeconfig"]) if known.get("kubeconfig") else None)
    return dataclasses.replace(
        asked,
        environments=environments,
        clusters=clusters,
        contexts=contexts,
        kubeconfig=kubeconfig.absolute() if kubeconfig else None,
        ports={**known.get("ports", {}), **asked.ports},
    )


def remember(state: Path, options: Options, ports: Mapping[str, int]) -> None:
    """Keep what the next start must be like."""
    content = {
        "environments": options.environments,
        "clusters": options.clusters,
        "contexts": dict(options.contexts),
        "kubeconfig": str(options.kubeconfig) if options.kubeconfig else "",
        "ports": dict(ports),
    }
    write_private(state / FILE_NAME, json.dumps(content, indent=1) + "\n")


def remember_port(state: Path, of: str, url: str) -> None:
    """Keep the port that a server of this sandbox listens on."""
    known = _known(state)
    known["ports"] = {**known.get("ports", {}), of: port_of(url)}
    write_private(state / FILE_NAME, json.dumps(known, indent=1) + "\n")


def port_of(url: str) -> int:
    """The port in http://host:port."""
    return int(url.rstrip("/").rpartition(":")[2])


def secret(path: Path) -> str:
    """The random token kept in this file, made on first use."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24) + "\n")
    return path.read_text().strip()


def _known(state: Path) -> dict[str, Any]:
    path = state / FILE_NAME
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise errors.invalid("is not what penstock wrote", str(path), hint="delete the state folder to begin anew") from None
    return content if isinstance(content, dict) else {}


def write_private(path: Path, text: str) -> None:
    """Replace a file whole; nobody else may read it, not even for a moment."""
    temporary = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.rename(path)
