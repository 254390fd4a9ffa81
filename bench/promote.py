"""Planning all promotions of a repository with 500 apps in 3 environments, and after a commit to one app.

Real Git (a bare repository), no forge and no cluster: what is measured is finding out what travels where. Bars: all plans
within 2 s cold, 0.2 s after a one-app commit.
"""

from __future__ import annotations

import asyncio
import itertools
import resource
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pygit2

from penstock import source
from penstock.adapters import git
from penstock.adapters.clock import SystemClock
from penstock.controllers.promotion_survey import Surveyor
from penstock.ports.repo import Signature

APPS = 500
ENVIRONMENTS = ("dev", "staging", "prod")

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {app}
spec:
  replicas: {replicas}  # sized for {env}
  selector:
    matchLabels: {{app: {app}}}
  template:
    metadata:
      labels: {{app: {app}}}
    spec:
      containers:
      - name: {app}
        image: registry.example/{app}:{tag}
        env:
        - name: MODE
          value: {env}
        resources:
          limits:
            memory: {replicas}28Mi
"""
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {app}\ndata:\n  timeout: {timeout}\n  env: {env}\n"
SYNC = (
    "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {env}, namespace: flux-system}}\n"
    "spec: {{path: ./clusters/{env}, interval: 5m, prune: true, wait: true, sourceRef: {{kind: GitRepository, name: fleet}}}}\n"
)


def app_files(env: str, app: str, *, tag: str = "1.0.0", timeout: str = "10s") -> Iterator[tuple[str, bytes]]:
    values = {"env": env, "app": app, "tag": tag, "timeout": timeout, "replicas": str(ENVIRONMENTS.index(env) + 1)}
    root = f"clusters/{env}/apps/{app}"
    yield f"{root}/deployment.yaml", DEPLOYMENT.format(**values).encode()
    yield f"{root}/config.yaml", CONFIG.format(**values).encode()
    yield f"{root}/kustomization.yaml", b"resources:\n- deployment.yaml\n- config.yaml\n"


def repository() -> dict[str, bytes]:
    names = [f"app-{number:03}" for number in range(APPS)]
    listing = ("resources:\n" + "".join(f"- {name}\n" for name in names)).encode()
    files: dict[str, bytes] = {}
    for env in ENVIRONMENTS:
        files[f"clusters/{env}/kustomization.yaml"] = b"resources:\n- flux-system\n- apps\n"
        files[f"clusters/{env}/flux-system/kustomization.yaml"] = b"resources:\n- sync.yaml\n"
        files[f"clusters/{env}/flux-system/sync.yaml"] = SYNC.format(env=env).encode()
        files[f"clusters/{env}/apps/kustomization.yaml"] = listing
        for name in names:
            files |= dict(app_files(env, name))
    return files


def looks(mirror: git.Mirror) -> Surveyor:
    return Surveyor(repo=mirror, forge=None, clusters={}, clock=SystemClock())


def plan(surveyor: Surveyor) -> int:
    tip = surveyor.tip()
    return len(surveyor.plan(source.discover(surveyor.repo.tree(tip)), tip, {}))


def timed(what: str, surveyor: Surveyor) -> None:
    began, used = time.perf_counter(), time.process_time()
    count = plan(surveyor)
    print(f"{what:48} {count:4} plans  {time.perf_counter() - began:6.3f} s  {time.process_time() - used:6.3f} s of CPU")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        pygit2.init_repository(f"{folder}/origin.git", bare=True, initial_head="main")
        mirror = git.Mirror(f"file://{folder}/origin.git", Path(folder) / "mirror.git", allow_local=True)
        author = Signature(name="bench", email="bench@localhost", when=datetime(2026, 1, 1, tzinfo=UTC))
        adopt = "".join(f"Penstock-Adopt: {one} -> {other}\n" for one, other in itertools.pairwise(ENVIRONMENTS))

        async def commit(files: dict[str, bytes], message: str) -> None:
            before = mirror.resolve("main")
            new = mirror.write_commit([before] if before else [], files, message=message, author=author)
            await mirror.push("main", new, expect=before)

        await commit(repository(), f"start\n\n{adopt}")
        surveyor = looks(mirror)
        timed("nothing to do, cold", looks(mirror))
        every = {path: data for n in range(APPS) for path, data in app_files("dev", f"app-{n:03}", tag="2.0.0", timeout="20s")}
        await commit(every, "everything moves")
        timed("every app moves, cold", looks(mirror))
        timed("every app moves, warm process", surveyor)
        await commit(repository(), "back")
        plan(surveyor)
        await commit(dict(app_files("dev", "app-007", tag="3.0.0")), "one app moves")
        timed("one app moves, cold", looks(mirror))
        timed("one app moves, warm process", surveyor)
    print(f"{'peak memory':48} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:10} MiB")


if __name__ == "__main__":
    asyncio.run(main())
