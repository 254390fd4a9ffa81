"""Where the real parts are on this machine: kube-apiserver, etcd and friends, found but never fetched.

They are looked for in KUBEBUILDER_ASSETS, then in PATH, then in the cache that `make parts` fills
(PENSTOCK_PARTS, else XDG_CACHE_HOME/penstock/parts, else ~/.cache/penstock/parts), where names carry their version.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

VERSIONS = {
    "kube-apiserver": "1.37.2",
    "etcd": "3.7.3",
    "kustomize": "5.8.1",
    "gitea": "1.26.0",
    "kube-controller-manager": "1.37.2",
    "kwok": "0.8.0",
    "kustomize-controller": "1.9.6",
    "source-controller": "1.9.6",
}
"""The version that is built when none is on the machine; tools/parts/*/go.mod pin the same."""


def cache_folder() -> Path:
    """Where built parts are kept."""
    if folder := os.environ.get("PENSTOCK_PARTS"):
        return Path(folder)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "penstock" / "parts"


def find(name: str) -> Path | None:
    """The executable of a part, or None when it is not on this machine."""
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        candidate = Path(assets) / name
        if candidate.is_file():
            return candidate
    built = cache_folder() / f"{name}-{VERSIONS.get(name, '')}"
    if built.is_file():
        return built
    # kustomize and gitea are compared byte by byte or call by call with one version: any other on PATH will not do.
    if name in ("kustomize", "gitea"):
        return None
    # servers like sshd stand where only root looks
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    return Path(found) if found else None
