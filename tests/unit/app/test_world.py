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


def test_where_webhooks_come_in_is_read_and_checked(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(FLEET + "webhooks: {listen: '127.0.0.1:8090', secretFile: hook}\n")
    at = world.read(tmp_path / "fleet.yaml").webhooks
    assert at is not None
    assert (at.listen, at.path, at.secret_file) == ("127.0.0.1:8090", "/hook", tmp_path / "hook")
    (tmp_path / "fleet.yaml").write_text(FLEET + "webhooks: {listen: here, path: hook}\n")
    with pytest.raises(errors.InputError) as caught:
        world.read(tmp_path / "fleet.yaml")
    for said in ("webhooks.listen must be host:port", "webhooks.path must start with /", "webhooks.secretFile is missing"):
        assert said in str(caught.value)


async def test_a_webhook_of_the_forge_makes_a_running_fleet_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hmac
    import socket
    from typing import Any, cast

    import aiohttp

    from penstock.adapters.clock import SystemClock
    from penstock.app import fleet as fleets

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "hook").write_text("the secret\n")
    (tmp_path / "fleet.yaml").write_text(FLEET + f"webhooks: {{listen: '127.0.0.1:{port}', secretFile: hook}}\n")
    nothing = cast(Any, None)
    opened = world.World(fleet=world.read(tmp_path / "fleet.yaml"), repo=nothing, forge=nothing, clusters={}, clock=SystemClock())
    looked: list[str] = []
    monkeypatch.setattr(fleets.Running, "pushed", lambda self: looked.append("repository"))
    monkeypatch.setattr(fleets.Running, "looked_for", lambda self: looked.append("forge"))
    async with fleets.running(opened, promote=False), aiohttp.ClientSession() as client:
        for event, secret, status in (("push", "the secret", 202), ("pull_request", "the secret", 202), ("push", "x", 403)):
            headers = {"X-Gitea-Event": event, "X-Gitea-Signature": hmac.new(secret.encode(), b"{}", "sha256").hexdigest()}
            async with client.post(f"http://127.0.0.1:{port}/hook", data=b"{}", headers=headers) as answer:
                assert answer.status == status
    assert looked == ["repository", "forge"]
