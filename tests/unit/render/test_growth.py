"""How the engine grows: many patches, images and generators over many objects stay near linear."""

import time

from penstock import render
from penstock.model.tree import MemoryTree


def tree(size: int) -> MemoryTree:
    """`size` apps, each with a patch by name, a patch by target, an image entry, a generator and a reference to it."""
    files: dict[str, bytes | str] = {}
    lines = ["namePrefix: p-", "namespace: shop", "resources:"] + [f"- a{number}.yaml" for number in range(size)]
    patches, images, generators = ["patches:"], ["images:"], ["configMapGenerator:"]
    for number in range(size):
        files[f"a{number}.yaml"] = (
            f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: a{number}\nspec:\n  template:\n    spec:\n"
            f"      containers:\n      - name: main\n        image: example.com/a{number}:v1\n"
            f"        envFrom:\n        - configMapRef:\n            name: g{number}\n"
        ).encode()
        patches.append(
            f"- target: {{kind: Deployment, name: a{number}}}\n  patch: '- {{op: add, path: /spec/replicas, value: 2}}'"
        )
        patches.append(
            f"- patch: '{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: a{number}}}, spec: {{paused: true}}}}'"
        )
        images.append(f"- {{name: example.com/a{number}, newTag: v2}}")
        generators.append(f"- {{name: g{number}, literals: [a=b]}}")
    files["kustomization.yaml"] = "\n".join([*lines, *patches, *images, *generators, ""]).encode()
    return MemoryTree(files)


def seconds(size: int) -> float:
    start = time.process_time()
    built = render.build(tree(size), "")
    assert len(built.objects) == 2 * size
    deployment = built.objects[-1].manifest["spec"]
    assert (deployment["replicas"], deployment["paused"]) == (2, True)
    assert deployment["template"]["spec"]["containers"][0]["image"].endswith(":v2")
    assert deployment["template"]["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"].startswith("p-g")
    return time.process_time() - start


def test_four_times_as_much_of_everything_takes_about_four_times_as_long():
    seconds(20)
    small, large = min(seconds(100) for _ in range(3)), min(seconds(400) for _ in range(2))
    assert large / small < 8, f"{small:.3f} s for 100, {large:.3f} s for 400"
