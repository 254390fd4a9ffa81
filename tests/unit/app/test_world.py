"""A fleet file is read with every problem at once, and found from any folder below."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.app import world
from penstock.model import errors

FLEET = """\
apiVersion: penstock.dev/v1alpha1
kind: Fleet
repository:
  url: http://127.0.0.1:1/platform/fleet.git
  username: penstock
  passwordFile: token
forge:
  kind: gitea
  url: http://127.0.0.1:1
  repository: platform/fleet
  tokenFile: token
clusters:
- environment: dev
  kubeconfig: kubeconfig
  context: dev
"""


def test_file_names_are_looked_up_beside_the_fleet_file(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(FLEET)
    fleet = world.read(tmp_path / "fleet.yaml")
    assert fleet.repository.password_file == tmp_path / "token"
    assert fleet.repository.branch == "main"
    assert [(at.environment, at.kubeconfig, at.context) for at in fleet.clusters] == [("dev", tmp_path / "kubeconfig", "dev")]


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    text = FLEET.replace("  kind: gitea", "  kind: gitee").replace("  branch", "  brunch").replace("  username", "  user")
    (tmp_path / "fleet.yaml").write_text(text.replace("- environment: dev", "- env: dev"))
    with pytest.raises(errors.InputError) as caught:
        world.read(tmp_path / "fleet.yaml")
    said = str(caught.value)
    assert "repository.user is not a field here" in said
    assert "forge.kind must be one of gitea, github, gitlab" in said
    assert "clusters[0].env is not a field here" in said
    assert "clusters[0].environment is missing" in said


def test_broken_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text("kind: Fleet\nforge: [\n")
    with pytest.raises(errors.InputError, match=r"fleet\.yaml:3"):
        world.read(tmp_path / "fleet.yaml")


def test_the_sandbox_above_is_found(tmp_path: Path) -> None:
    (tmp_path / ".penstock/sandbox").mkdir(parents=True)
    (tmp_path / ".penstock/sandbox/fleet.yaml").write_text(FLEET)
    deep = tmp_path / "a/b"
    deep.mkdir(parents=True)
    assert world.find(deep) == tmp_path / ".penstock/sandbox/fleet.yaml"


def test_a_secret_that_cannot_be_read_is_named_without_its_content(tmp_path: Path) -> None:
    with pytest.raises(errors.InputError, match=r"cannot read the secret in .*/token: No such file"):
        world.secret(tmp_path / "token")
