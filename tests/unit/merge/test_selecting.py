"""How people name fields: declared differences and choices."""

from __future__ import annotations

import pytest

from penstock import merge
from penstock.merge import selecting
from penstock.model.fieldpath import Keyed

BASE = """\
kind: Deployment
metadata:
  name: web
  annotations:
    example.com/a.b: x
spec:
  replicas: 1
  rules:
  - host: a
  - host: b
  ports:
  - port: 80
    name: http
    nodePort: 1
  template:
    spec:
      containers:
      - name: web
        image: web:1
        resources: {limits: {cpu: 1}}
"""


@pytest.mark.parametrize(
    ("selector", "old", "new"),
    [
        ("spec.replicas", "replicas: 1", "replicas: 2"),
        ("/spec/replicas", "replicas: 1", "replicas: 2"),
        ("spec", "replicas: 1", "replicas: 2"),
        ("#Deployment/web spec.replicas", "replicas: 1", "replicas: 2"),
        ("#deployment/* spec.replicas", "replicas: 1", "replicas: 2"),
        ("apps/** spec.replicas", "replicas: 1", "replicas: 2"),
        ("apps/web/d.yaml #Deployment/web spec.replicas", "replicas: 1", "replicas: 2"),
        ("spec.*", "replicas: 1", "replicas: 2"),
        ("spec.rules[1].host", "host: b", "host: c"),
        ("/spec/rules/1/host", "host: b", "host: c"),
        ("spec.rules[*].host", "host: b", "host: c"),
        ("spec.ports[port=80].nodePort", "nodePort: 1", "nodePort: 2"),
        ("spec.ports[name=http].nodePort", "nodePort: 1", "nodePort: 2"),
        ("spec.ports[port=80,protocol=TCP].nodePort", "nodePort: 1", "nodePort: 2"),
        ("spec.template.spec.containers[*].resources", "cpu: 1", "cpu: 2"),
        ("spec.template.spec.containers[name=web].image", "image: web:1", "image: web:2"),
        ('metadata.annotations["example.com/a.b"]', "a.b: x", "a.b: y"),
        ("metadata.annotations.example.com/a.b", "a.b: x", "a.b: y"),
        ("/metadata/annotations/example.com~1a.b", "a.b: x", "a.b: y"),
        ("apps/web/", "replicas: 1", "replicas: 2"),
        ("apps/web/d.yaml", "replicas: 1", "replicas: 2"),
    ],
)
def test_a_declared_difference_covers_the_field_it_names(selector: str, old: str, new: str) -> None:
    source, target = BASE.replace(old, new), BASE + "own: 1\n"
    merged = merge.three_way(BASE.encode(), source.encode(), target.encode(), path="apps/web/d.yaml", declared=[selector])
    assert merged.result == target.encode()
    other = merge.three_way(BASE.encode(), source.encode(), target.encode(), path="apps/web/d.yaml", declared=["spec.other"])
    assert other.result == target.replace(old, new).encode()


@pytest.mark.parametrize(
    "selector",
    [
        "spec.replica",
        "replicas",
        "#Deployment/api spec.replicas",
        "#Service/web spec.replicas",
        "apps/api/** spec.replicas",
        "spec.replicas.deeper",
        "/spec/replica",
    ],
)
def test_a_declared_difference_covers_nothing_else(selector: str) -> None:
    source = BASE.replace("replicas: 1", "replicas: 2")
    merged = merge.three_way(
        BASE.encode(), source.encode(), (BASE + "own: 1\n").encode(), path="apps/web/d.yaml", declared=[selector]
    )
    assert merged.result == (source + "own: 1\n").encode()


def test_a_conflict_can_be_chosen_by_its_text_its_field_or_what_it_stands_in() -> None:
    source, target = BASE.replace("cpu: 1", "cpu: 2"), BASE.replace("cpu: 1", "cpu: 3")
    (conflict,) = merge.three_way(BASE.encode(), source.encode(), target.encode(), path="d.yaml").conflicts
    for field in (
        str(conflict),
        conflict.field,
        conflict.label,
        "spec.template",
        "spec.template.spec.containers[name=web].resources",
    ):
        choice = merge.Choice(field=field, side="source")
        merged = merge.three_way(BASE.encode(), source.encode(), target.encode(), path="d.yaml", choices=[choice])
        assert (merged.conflicts, merged.result) == ((), source.encode())


def test_a_choice_for_another_file_or_object_decides_nothing() -> None:
    source, target = BASE.replace("cpu: 1", "cpu: 2"), BASE.replace("cpu: 1", "cpu: 3")
    for choice in (
        merge.Choice(field="spec", side="source", path="other.yaml"),
        merge.Choice(field="spec", side="source", document="#Deployment/api"),
        merge.Choice(field="spec.templat", side="source"),
    ):
        assert merge.three_way(BASE.encode(), source.encode(), target.encode(), path="d.yaml", choices=[choice]).conflicts


def test_a_choice_for_the_source_takes_only_what_is_in_conflict() -> None:
    choice = merge.Choice(field="", side="source")
    merged = merge.three_way(b"a: 1\nb: 1\n", b"a: 2\nb: 1\n", b"a: 3\nb: 9\n", path="v.yaml", choices=[choice])
    assert merged.result == b"a: 2\nb: 9\n"


def test_a_choice_for_the_target_holds_a_field_back() -> None:
    choice = merge.Choice(field="a", side="target")
    merged = merge.three_way(b"a: 1\nb: 1\n", b"a: 2\nb: 2\n", b"a: 1\nb: 1\nc: 1\n", path="v.yaml", choices=[choice])
    assert merged.result == b"a: 1\nb: 2\nc: 1\n"


def test_labels_leave_dotted_keys_as_people_write_them() -> None:
    assert selecting.label(("data", "app.conf", 0, Keyed((("name", "x"),)), "y")) == "data.app.conf[0][name=x].y"
