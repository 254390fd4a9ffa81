#!/usr/bin/env python3
"""Build the real parts the tests run against (kube-apiserver, etcd, kustomize, Gitea) from locked Go modules, once;
and get Chromium.

usage: build.py [PART ...]     exit 0: all are there; 3: no Go toolchain, so some are missing

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
}
ABOUT_MINUTES = {"kustomize": 0.5, "etcd": 0.6, "kube-apiserver": 4.5, "gitea": 4.0}


def main() -> int:
    wanted = sys.argv[1:] or [*PACKAGES, "chromium"]
    if "chromium" in wanted:
        wanted.remove("chromium")
        browser()
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
    elif name == "kube-apiserver":
        flags += f" -X k8s.io/component-base/version.gitVersion=v{version}"
    elif name == "gitea":
        command += ["-tags", "sqlite sqlite_unlock_notify"]
        flags += f" -X main.Version={version}"
    command += ["-ldflags", flags, package]
    environment = os.environ | {"CGO_ENABLED": "1" if name == "gitea" else "0", "GOFLAGS": "-buildvcs=false"}
    with progress(f"build  {name:15} {version}, about {ABOUT_MINUTES[name]:g} min"):
        subprocess.run(command, cwd=HERE / module, env=environment, check=True)
    unfinished.rename(target)


def browser() -> None:
    """Chromium for the page tests: the machine's own, else Debian's package where we may install it."""
    if found := parts.find("chromium"):
        print(f"have   chromium        {found}")
    elif shutil.which("apt-get") and os.geteuid() == 0:
        with progress("fetch  chromium        Debian's package, about 1 min"):
            for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
                subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    else:
        print("no Chromium: install the package chromium to run the page tests", file=sys.stderr)


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
