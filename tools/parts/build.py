#!/usr/bin/env python3
"""Build the real parts the tests run against (kube-apiserver, etcd, kustomize, Gitea) from locked Go modules, once;
and get Chromium and sshd.

usage: build.py [PART ...]     exit 0: all are there; 3: no Go toolchain, so some are missing

Parts that only some targets need (controllers of Flux and of Kubernetes) are built when they are named.

Everything is fetched through the Go module proxy of this machine and checked against the go.sum beside each go.mod.
Binaries land in the cache that penstock.adapters.parts reads, under a name with their version.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "src"))

from penstock.adapters import parts  # noqa: E402  the package may not be installed yet

PACKAGES = {
    "kustomize": ("kustomize", "sigs.k8s.io/kustomize/kustomize/v5"),
    "etcd": ("etcd", "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": ("kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    "gitea": ("gitea", "code.gitea.io/gitea"),
    "kube-controller-manager": ("kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    "kwok": ("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    "kustomize-controller": ("flux", "github.com/fluxcd/kustomize-controller"),
    "source-controller": ("flux", "github.com/fluxcd/source-controller"),
}
WHEN_NAMED = {"kube-controller-manager", "kwok", "kustomize-controller", "source-controller"}
ABOUT_MINUTES = {
    "kustomize": 0.5,
    "etcd": 0.6,
    "kube-apiserver": 4.5,
    "gitea": 4.0,
    "kube-controller-manager": 2.0,
    "kwok": 1.0,
    "kustomize-controller": 3.5,
    "source-controller": 1.5,
}
DEBIAN = {"chromium": "chromium", "sshd": "openssh-server"}


def main() -> int:
    wanted = sys.argv[1:] or [*(name for name in PACKAGES if name not in WHEN_NAMED), *DEBIAN]
    for name in [each for each in wanted if each in DEBIAN]:
        wanted.remove(name)
        install(name)
    missing = [name for name in wanted if parts.find(name) is None]
    for name in wanted:
        if name not in missing:
            print(f"have   {name:15} {parts.find(name)}")
    if not missing:
        return 0
    if shutil.which("go") is None:
        print(f"no Go toolchain: {', '.join(missing)} cannot be built here", file=sys.stderr)
        return 3
    for name in missing:
        build(name)
        if PACKAGES[name][0] == "flux":
            definitions(name)
    return 0


def build(name: str) -> None:
    """Build one part into the cache; the file appears only when it is whole."""
    module, package = PACKAGES[name]
    version = parts.VERSIONS[name]
    folder = parts.cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}-{version}"
    unfinished = target.with_suffix(f".{os.getpid()}.part")
    command = ["go", "build", "-trimpath", "-mod=readonly", "-o", str(unfinished)]
    flags = "-s -w"
    if name == "kustomize":
        flags += f" -X sigs.k8s.io/kustomize/api/provenance.version=v{version}"
    elif name in ("kube-apiserver", "kube-controller-manager"):
        flags += f" -X k8s.io/component-base/version.gitVersion=v{version}"
    elif name == "gitea":
        command += ["-tags", "sqlite sqlite_unlock_notify"]
        flags += f" -X main.Version={version}"
    command += ["-ldflags", flags, package]
    environment = os.environ | {"CGO_ENABLED": "1" if name == "gitea" else "0", "GOFLAGS": "-buildvcs=false"}
    with progress(f"build  {name:15} {version}, about {ABOUT_MINUTES[name]:g} min"):
        subprocess.run(command, cwd=HERE / module, env=environment, check=True)
    unfinished.rename(target)


def definitions(name: str) -> None:
    """Copy the CRDs that a controller of Flux's ships out of the module cache, beside the binaries."""
    command = ["go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", f"github.com/fluxcd/{name}"]
    module = subprocess.run(command, cwd=HERE / "flux", check=True, capture_output=True, text=True).stdout.strip()
    folder = parts.cache_folder() / f"flux-crds-{parts.VERSIONS[name]}"
    folder.mkdir(exist_ok=True)
    for path in (Path(module) / "config" / "crd" / "bases").glob("*.yaml"):
        (folder / path.name).write_bytes(path.read_bytes())


def install(name: str) -> None:
    """A part that Debian packages: the machine's own, else the package where we may install it."""
    package = DEBIAN[name]
    if found := parts.find(name):
        print(f"have   {name:15} {found}")
    elif shutil.which("apt-get") and os.geteuid() == 0:
        with progress(f"fetch  {name:15} Debian's package {package}, about 1 min"):
            quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
            for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", package]):
                subprocess.run(command, check=False, stdout=subprocess.DEVNULL, env=quiet)
    else:
        print(f"no {name}: install the package {package} to run the tests that need it", file=sys.stderr)


@contextlib.contextmanager
def progress(what: str) -> Iterator[None]:
    """Say what runs, a line every 30 s while it does, and how long it took."""
    print(what, flush=True)
    start, done = time.monotonic(), threading.Event()

    def tick() -> None:
        while not done.wait(30):
            print(f"       still building after {time.monotonic() - start:.0f} s", flush=True)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    print(f"       done in {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
