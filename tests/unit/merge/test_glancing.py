"""A glance at a file says what reading it says, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.merge import documents, glancing
from penstock.yamldoc.nodes import UnreadableError

USUAL = """\
# what people write
apiVersion: apps/v1
kind: Deployment   # a comment
metadata:
  labels:
    name: other
  name: web
  namespace: shop
spec:
  template:
    metadata:
      name: inner
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: web-config
data:
  text: |
    kind: Secret
    metadata:
      name: no
---
# nothing here
"""


def read(text: str) -> list[glancing.Identity] | None:
    """What the full reader says."""
    try:
        return [part.identity for part in documents.read(text) if part.named]
    except UnreadableError:
        return None


def test_what_is_usual_is_seen_at_a_glance() -> None:
    expected = [("apps", "Deployment", "shop", "web"), ("", "ConfigMap", "", "web-config")]
    assert glancing.named(USUAL) == expected == read(USUAL)


@pytest.mark.parametrize(
    "text",
    [
        "{kind: A, metadata: {name: b}}\n",
        "kind: A\nmetadata: {name: b}\n",
        "kind: &a A\nmetadata:\n  name: *a\n",
        'kind: "A"\nmetadata:\n  name: b\n',
        '"kind": A\ndata: "x\nkind: B"\nmetadata:\n  name: b\n',
        "kind: A\nkind: B\nmetadata:\n  name: b\n",
        "kind: A\nmetadata:\n  name: b\n  name: c\n",
        "kind: A\nmetadata:\n  <<: *x\n  name: b\n",
        "kind:\n  A\nmetadata:\n  name: b\n",
        "kind: A\n  B\nmetadata:\n  name: b\n",
        "kind: A\nmetadata:\n  name: null\n",
        "kind: A\nmetadata:\n  name: b c\n",
        "kind: A\nmetadata:\n\tname: b\n",
        "--- {kind: A}\n",
        "kind: A\nmetadata:\n  a: 'x\n  name: b'\n  name: c\n",
    ],
)
def test_what_is_unusual_is_left_to_the_reader(text: str) -> None:
    assert glancing.named(text) is None


LINES = """\
kind: A
kind: B
apiVersion: v1
apiVersion: apps/v1
metadata:
  name: x
  name: y # z
  namespace: n
  labels:
    name: no
    - name: no
  - name: no
spec:
---
# words

data: |
  text
  a: 'x
x'
  b: "name: q"
- item
  ? name
  : x
kind: |
metadata: # c
   name: deeper
 name: less
  name: ~
  name:
  name: 12
...
%YAML 1.2
  &a name: x
  !!str name: x
  name: x: y
items: [a,
kind: Z]
""".splitlines()


@given(st.lists(st.sampled_from(LINES), max_size=14))
def test_a_glance_never_says_anything_else_than_the_reader(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    glanced, whole = glancing.named(text), read(text)
    assert glanced is None or whole is None or glanced == whole, text
