"""The spec of a GitRepository as a typed value, with Flux's defaults filled in.

In: a manifest as the API server shows it (so already validated by its CRD). Out: a frozen value. Raises InputError for
what a CRD cannot check.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from penstock.controllers.specs import duration_of
from penstock.model.resource import Manifest

Mode = Literal["HEAD", "Tag", "TagAndHEAD"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Include:
    """One entry of include: files of another GitRepository of the namespace."""

    repository: str
    from_path: str
    to_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GitRepositorySpec:
    """A GitRepository."""

    raw: Mapping[str, Any]
    url: str
    secret: str
    proxy_secret: str
    provider: str
    service_account: str
    interval: timedelta
    timeout: timedelta
    branch: str
    tag: str
    semver: str
    ref_name: str
    commit: str
    ignore: str | None
    suspend: bool
    verify_mode: Mode | None
    """None: signatures are not looked at."""
    verify_secret: str
    recurse_submodules: bool
    sparse: tuple[str, ...]
    includes: tuple[Include, ...]

    @property
    def only_ref(self) -> str:
        """The one ref that is asked for, by its full name; '' when more of the repository is needed to find the commit."""
        if self.commit or (self.semver and not self.ref_name):
            return ""
        return self.ref_name or (f"refs/tags/{self.tag}" if self.tag else f"refs/heads/{self.branch}")


def git_repository(manifest: Manifest) -> GitRepositorySpec:
    """Read a GitRepository."""
    spec: Mapping[str, Any] = manifest.get("spec") or {}
    ref = spec.get("ref") or {}
    chosen = any(ref.get(key) for key in ("branch", "tag", "semver", "name", "commit"))
    verify = spec.get("verify") or {}
    return GitRepositorySpec(
        raw=spec,
        url=str(spec.get("url") or ""),
        secret=_name(spec.get("secretRef")),
        proxy_secret=_name(spec.get("proxySecretRef")),
        provider=str(spec.get("provider") or "generic"),
        service_account=str(spec.get("serviceAccountName") or ""),
        interval=duration_of(spec, "interval", None) or timedelta(minutes=1),
        timeout=duration_of(spec, "timeout", timedelta(seconds=60)) or timedelta(seconds=60),
        branch=str(ref.get("branch") or ("" if chosen else "master")),
        tag=str(ref.get("tag") or ""),
        semver=str(ref.get("semver") or ""),
        ref_name=str(ref.get("name") or ""),
        commit=str(ref.get("commit") or ""),
        ignore=spec.get("ignore"),
        suspend=spec.get("suspend") is True,
        verify_mode=_mode(verify) if verify else None,
        verify_secret=_name(verify.get("secretRef")),
        recurse_submodules=spec.get("recurseSubmodules") is True,
        sparse=tuple(str(each) for each in spec.get("sparseCheckout") or ()),
        includes=tuple(_include(each) for each in spec.get("include") or ()),
    )


def _name(reference: Any) -> str:
    return str((reference or {}).get("name") or "")


def _mode(verify: Mapping[str, Any]) -> Mode:
    """'head' is the old spelling of HEAD."""
    mode = verify.get("mode")
    return mode if mode in ("Tag", "TagAndHEAD") else "HEAD"


def _include(about: Mapping[str, Any]) -> Include:
    name = _name(about.get("repository"))
    return Include(repository=name, from_path=str(about.get("fromPath") or ""), to_path=str(about.get("toPath") or name))
