"""Which files a kustomization makes a Secret of."""

from __future__ import annotations

import pytest

from penstock.merge.secrets import SecretInputs
from penstock.model.tree import MemoryTree

KUSTOMIZATION = b"""\
secretGenerator:
- name: login
  envs: [db.env]
  files:
  - password=config/password.txt
  # the rest is not secret
resources:
- deployment.yaml
configMapGenerator:
- name: web
  files: [app.properties]
"""


@pytest.mark.parametrize(
    ("path", "secret"),
    [
        ("apps/web/db.env", True),
        ("apps/web/config/password.txt", True),
        ("apps/web/deployment.yaml", False),
        ("apps/web/app.properties", False),
        ("apps/api/db.env", False),
        ("db.env", False),
    ],
)
def test_an_input_of_a_secret_generator_is_known_from_beside_and_from_above(path: str, secret: bool) -> None:
    tree = MemoryTree({"clusters/dev/apps/web/kustomization.yaml": KUSTOMIZATION})
    assert SecretInputs(tree, "clusters/dev").has(path) is secret


def test_in_a_file_in_braces_everything_behind_the_generator_counts() -> None:
    tree = MemoryTree(
        {"kustomization.yaml": b'{"secretGenerator": [{"name": "s", "envs": ["db.env"]}], "resources": ["a.yaml"]}'}
    )
    assert SecretInputs(tree, "").has("db.env")


def test_a_path_that_is_not_utf8_is_found_too() -> None:
    tree = MemoryTree({"kustomization.yaml": b"secretGenerator:\n- name: s\n  files: [caf\xe9.txt]\n"})
    assert SecretInputs(tree, "").has(b"caf\xe9.txt".decode(errors="surrogateescape"))
