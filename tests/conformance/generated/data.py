"""configMapGenerator and secretGenerator, from literals, files and env files."""

from __future__ import annotations

import random

from . import folders, manifests, odd
from .folders import Folder
from .manifests import Value


def _data_sources(folder: Folder, entry: Value) -> None:
    rng = folder.rng
    if rng.random() < 0.7:
        entry["literals"] = [
            f"{key}={rng.choice(('1', 'a b', 'x=y', '', chr(34) + 'q' + chr(34), 'é', 'true', 'l1' + chr(92) + 'nl2'))}"
            for key in rng.sample(("k", "l", "m.n", "UPPER_CASE"), rng.randint(1, 3))
        ]
    if rng.random() < 0.4:
        content = rng.choice(
            (
                b"hello\n",
                b"a: b\nc:\n- d\n",
                b"",
                b"no newline",
                odd.text(rng).encode("utf-8", "surrogatepass"),
                b"\xff\xfe\x00bin",
                b"crlf\r\nx\r\n",
                b"x" * 120,
            )
        )
        name = folder.add(rng.choice(("app.properties", "conf.ini", "data.json")), content)
        entry["files"] = [rng.choice((name, f"renamed={name}", f"./{name}"))]
    if rng.random() < 0.25:
        content = rng.choice(
            (
                b"A=1\nB=two words\n",
                b"# c\n\nA=1\n  C=  3 \nD\n",
                b"A='q'\nB=\n",
                b"A=1\r\nB=2\r\n",
                b"\xef\xbb\xbfA=1\n",
                b'A="q"\nB=a=b # c',
            )
        )
        name = folder.add(rng.choice((".env", "vars.env")), content)
        entry["envs" if rng.random() < 0.85 else "env"] = [name]
        if "env" in entry:
            entry["env"] = name


def _options(rng: random.Random) -> Value:
    options: Value = {}
    if rng.random() < 0.4:
        options["disableNameSuffixHash"] = rng.choice((True, True, False))
    if rng.random() < 0.3:
        options["labels"] = folders.label_texts(rng)
    if rng.random() < 0.3:
        options["annotations"] = folders.texts(rng)
    if rng.random() < 0.2:
        options["immutable"] = True
    return options


def generators(folder: Folder) -> None:
    rng = folder.rng
    for name, names, kind in (
        ("configMapGenerator", manifests.CONFIGS, "ConfigMap"),
        ("secretGenerator", manifests.SECRETS, "Secret"),
    ):
        if rng.random() < 0.4:
            continue
        entries = []
        for chosen in rng.sample(names, rng.randint(1, 2)):
            taken = [known for known in folder.known if (known.kind, known.name) == (kind, chosen)]
            below = (kind, chosen) in folder.generated
            entry: Value = {"name": chosen}
            if rng.random() < 0.15:
                entry["namespace"] = rng.choice(manifests.NAMESPACES)
            if (taken or below) and rng.random() < 0.35:
                continue
            if taken or below:
                if rng.random() < 0.08:
                    entry["behavior"] = "create"
                else:
                    entry["behavior"] = rng.choice(("merge", "replace"))
                    entry.pop("namespace", None)
                    if taken and taken[0].namespace:
                        entry["namespace"] = taken[0].namespace
            elif rng.random() < 0.1:
                entry["behavior"] = rng.choice(("create", "create", "merge", "bogus"))
            _data_sources(folder, entry)
            if rng.random() < 0.3:
                entry["options"] = _options(rng)
            if kind == "Secret" and rng.random() < 0.4:
                entry["type"] = rng.choice(("Opaque", "kubernetes.io/tls"))
            entries.append(entry)
            folder.generated.append((kind, chosen))
        if entries:
            folder.fields[name] = entries
    if rng.random() < 0.25:
        folder.fields["generatorOptions"] = _options(rng)
