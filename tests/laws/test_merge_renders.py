"""What a promotion renders to: the source's configuration, except where the target was different before.

Random environments with kustomizations, edited on both sides, merged, and built by the render engine before and after.
"""

from __future__ import annotations

import random
from typing import Any

from penstock import merge, render
from penstock.model.tree import MemoryTree

Files = dict[str, str]


class App:
    """One application of an environment, written with random formatting."""

    def __init__(self, r: random.Random, name: str, env: str) -> None:
        self.name = name
        self.tag = f"1.{r.randrange(3)}.0"
        self.replicas = {"dev": 1, "staging": 2}[env]
        self.host = f"{name}.{env}.example"
        self.settings = {key: str(r.randrange(3)) for key in r.sample(["A", "B", "C", "D"], 3)}
        self.env = {key: r.choice(["debug", "info"]) for key in r.sample(["LOG", "MODE", "CACHE"], 2)}
        self.args = ["serve"]
        self.limits = {"memory": "64Mi"}

    def files(self, r: random.Random) -> Files:
        pad, note = r.choice(["", "  "]), r.choice(["", "  # ours"])
        quote = r.choice(["'", '"'])
        dash = f"        {pad}- name"
        env = "".join(f"{dash}: {key}\n        {pad}  value: {value}{note}\n" for key, value in self.env.items())
        settings = "".join(f"  {key}: {quote}{value}{quote}{note}\n" for key, value in self.settings.items())
        limits = "".join(f"            {key}: {value}\n" for key, value in self.limits.items())
        return {
            "kustomization.yaml": f"resources:\n{pad}- deployment.yaml\n{pad}- config.yaml\n"
            f"images:\n- name: registry/{self.name}\n  newTag: {quote}{self.tag}{quote}{note}\n",
            "config.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {self.name}\n"
            f"data:\n  host: {self.host}\n{settings}",
            "deployment.yaml": f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {self.name}\n"
            "spec:\n"
            f"  replicas: {self.replicas}{note}\n  template:\n    spec:\n      containers:\n      - name: app\n"
            f"        image: registry/{self.name}\n        args: [{', '.join(self.args)}]\n        env:\n{env}"
            f"        resources:\n          limits:\n{limits}",
        }


def edit(r: random.Random, app: App, rate: float) -> None:
    """A few edits, as a person would make them."""
    if r.random() < rate:
        app.tag = f"1.{r.randrange(9)}.{r.randrange(9)}"
    if r.random() < rate:
        app.settings[r.choice("ABCDEF")] = str(r.randrange(9))
    if r.random() < rate and len(app.settings) > 1:
        del app.settings[next(iter(app.settings))]
    if r.random() < rate:
        app.env[r.choice(["LOG", "MODE", "CACHE", "TRACE"])] = r.choice(["debug", "info", "warn"])
    if r.random() < rate / 2:
        app.args = [*app.args, f"--x={r.randrange(3)}"]
    if r.random() < rate / 2:
        app.limits[r.choice(["memory", "cpu"])] = r.choice(["128Mi", "256Mi"])
    if r.random() < rate / 2:
        app.replicas = r.randrange(1, 9)


def copied(app: App) -> App:
    made = App(random.Random(0), app.name, "dev")
    made.__dict__.update({key: value.copy() if hasattr(value, "copy") else value for key, value in app.__dict__.items()})
    return made


def tree(env: str, apps: list[App], r: random.Random) -> Files:
    files: Files = {f"clusters/{env}/kustomization.yaml": "resources:\n" + "".join(f"- apps/{app.name}\n" for app in apps)}
    for app in apps:
        files |= {f"clusters/{env}/apps/{app.name}/{path}": text for path, text in app.files(r).items()}
    return files


def memory(files: Files) -> MemoryTree:
    return MemoryTree({path: text.encode() for path, text in files.items()})


def built(files: Files, env: str) -> dict[tuple[str, ...], Any]:
    """Every rendered field: (object, way ...) -> value."""
    rendered = render.build(memory(files), f"clusters/{env}")
    found: dict[tuple[str, ...], Any] = {}
    for one in rendered.objects:
        flatten((str(one.id),), one.manifest, found)
    return found


def flatten(path: tuple[str, ...], value: Any, found: dict[tuple[str, ...], Any]) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            flatten((*path, str(key)), inner, found)
    elif isinstance(value, list) and value and all(isinstance(inner, dict) and "name" in inner for inner in value):
        for inner in value:
            flatten((*path, f"[{inner['name']}]"), inner, found)
    else:
        found[path] = value


def different(one: dict[tuple[str, ...], Any], other: dict[tuple[str, ...], Any]) -> set[tuple[str, ...]]:
    return {path for path in {*one, *other} if one.get(path, "-") != other.get(path, "-")}


def test_a_promotion_renders_to_the_source_except_where_the_target_was_different() -> None:
    promoted = asked = 0
    for seed in range(150):
        r = random.Random(seed)
        names = ["web", "api", "cron"]
        before = [App(r, name, "dev") for name in names]
        after = [copied(app) for app in before]
        here = [copied(app) for app in before]
        for app in here:
            app.replicas, app.host = 2, f"{app.name}.staging.example"
            edit(r, app, 0.15)
        for app in after:
            edit(r, app, 0.4)
        if r.random() < 0.3:
            after.append(App(r, "extra", "dev"))
        base, source, target = tree("dev", before, r), tree("dev", after, random.Random(seed)), tree("staging", here, r)
        merged = merge.trees(
            memory(base), memory(source), memory(target), source_root="clusters/dev", target_root="clusters/staging"
        )
        if merged.conflicts:
            asked += 1
            continue
        result = dict(target)
        for path, content in merged.changes.items():
            if content is None:
                del result[path]
            else:
                result[path] = content.decode()
        known = different(built(target, "staging"), built(base, "dev"))
        left = different(built(result, "staging"), built(source, "dev"))
        assert left <= known, f"seed {seed}: {left - known}"
        promoted += bool(merged.changes)
    assert promoted > 30
    assert asked > 10
