"""How long merges take: one large file, and the plans of a large repository, cold.

Run `python bench/merge.py`; prints a table. Medians of several runs in one process.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from penstock import merge
from penstock.model.tree import Entry, MemoryTree

APPS = 500
ENVIRONMENTS = ("dev", "staging", "prod")


def large_file(lines: int) -> str:
    """A Deployment with many containers, comments and scripts: `lines` lines, about."""
    head = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n"
    head += "spec:\n  replicas: 1\n  template:\n    spec:\n      containers:\n"
    parts = [head]
    return "".join([*parts, *(container(number) for number in range(lines // 31))])


def container(number: int) -> str:
    return f"""\
      - name: web-{number}
        image: registry.example/team/web-{number}:1.{number}.0   # promoted
        args: [serve, --port=80]
        env:
        - name: LOG_LEVEL
          value: debug
        - name: CACHE_TTL
          value: "30"
        resources:
          requests:
            cpu: 100m
            memory: 64Mi
          limits:
            memory: {number}Mi
        # where the data is
        volumeMounts:
        - name: data
          mountPath: /data
          readOnly: true
        ports:
        - containerPort: 80
          protocol: TCP
        - containerPort: 81
          name: metrics
        command:
        - sh
        - -c
        - |
          set -e
          echo one
          echo two
          exec three
        livenessProbe:
"""  # the last key is left empty on purpose: null is a value too


class IdTree(MemoryTree):
    """A tree that knows directory ids, as a Git tree does."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(dict(files))
        self._ids: dict[str, str] = {}

    def entry(self, path: str) -> Entry | None:
        found = super().entry(path)
        if found is None or found.kind != "directory":
            return found
        return Entry(kind="directory", id=self.directory_id(path))

    def directory_id(self, path: str) -> str:
        if path not in self._ids:
            names = self.names(path)
            children = [self.entry(f"{path}/{name}" if path else name) for name in names]
            self._ids[path] = str(
                hash(tuple((name, child.id if child else "") for name, child in zip(names, children, strict=True)))
            )
        return self._ids[path]


def repository(changed: bool) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for env, replicas in zip(ENVIRONMENTS, (1, 2, 6), strict=True):
        for app in range(APPS):
            root = f"clusters/{env}/apps/app-{app}"
            tag = 2 if changed and env == "dev" else 1
            files[f"{root}/kustomization.yaml"] = b"resources:\n- deployment.yaml\n- config.yaml\n"
            files[f"{root}/deployment.yaml"] = (
                f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app-{app}\nspec:\n  replicas: {replicas}\n"
                f"  template:\n    spec:\n      containers:\n      - name: app\n        image: registry.example/app-{app}:{tag}\n"
                "        ports:\n        - containerPort: 80\n"
            ).encode()
            files[f"{root}/config.yaml"] = (
                f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: app-{app}\ndata:\n  host: {env}.example\n  mode: fast\n"
            ).encode()
    return files


def median(run: Callable[[], object], times: int = 5) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    base = large_file(5000)
    source = base.replace("web-70:1.70.0", "web-70:9.9.9").replace("memory: 30Mi", "memory: 31Mi")
    target = base.replace("replicas: 1\n", "replicas: 6  # campaign\n").replace("memory: 12Mi", "memory: 1Gi")
    one = median(lambda: merge.three_way(base.encode(), source.encode(), target.encode(), path="deployment.yaml"))
    print(f"{'one file of ' + str(base.count(chr(10))) + ' lines':<58}{one * 1000:8.1f} ms")
    before, after = IdTree(repository(False)), IdTree(repository(True))
    for tree in (before, after):
        tree.directory_id("")

    def plan(old: IdTree, new: IdTree, pair: tuple[str, str]) -> int:
        changed = 0
        for app in range(APPS):
            merged = merge.trees(
                old, new, new, source_root=f"clusters/{pair[0]}", target_root=f"clusters/{pair[1]}", only=[f"apps/app-{app}"]
            )
            changed += len(merged.changes)
        return changed

    pairs = [("dev", "staging"), ("staging", "prod")]
    every = median(lambda: [plan(before, after, pair) for pair in pairs], 3)
    print(f"{f'{APPS} apps x {len(ENVIRONMENTS)} environments, every app of dev changed':<58}{every * 1000:8.1f} ms")
    none = median(lambda: [plan(before, before, pair) for pair in pairs], 3)
    print(f"{f'{APPS} apps x {len(ENVIRONMENTS)} environments, nothing changed':<58}{none * 1000:8.1f} ms")


if __name__ == "__main__":
    main()
