"""Where `penstock run` serves its page, and the settings with which it will not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from penstock.app import people, world
from penstock.model.errors import InputError
from penstock.web import hosting

FLEET = """apiVersion: penstock.dev/v1alpha1
kind: Fleet
repository: {url: "https://git.example.com/platform/fleet.git"}
forge: {kind: gitea, url: "https://git.example.com", repository: platform/fleet, tokenFile: token}
clusters: [{environment: dev}]
"""


def read(tmp_path: Path, web: str) -> world.Fleet:
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET + web)
    return world.read(path)


def test_everything_the_page_wants_stands_in_the_fleet_file(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
web:
  url: https://penstock.example.com/
  address: 127.0.0.1:8080
  hosts: ["penstock.internal:8443"]
  oidc: {issuer: "https://git.example.com", clientId: abc, clientSecretFile: s/oidc, actsOnForge: true}
  tokens: [{name: wallboard, tokenFile: s/wall}]
  access:
  - {role: viewer, users: ["token:wallboard"]}
  - {role: approver, environments: [prod], groups: ["platform:oncall"]}
""",
    ).web
    assert (found.url, found.address) == ("https://penstock.example.com", "127.0.0.1:8080")
    assert found.oidc == people.OidcAt(
        issuer="https://git.example.com", client_id="abc", client_secret_file=tmp_path / "s/oidc", acts_on_forge=True
    )
    assert [(one.role, one.environments, one.users, one.groups) for one in found.access] == [
        ("viewer", (), ("token:wallboard",), ()),
        ("approver", ("prod",), (), ("platform:oncall",)),
    ]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("{role: owner, users: [a]}", "must be one of viewer"),
        ("{role: admin}", "is a role for nobody"),
        ("{role: admin, users: [a], environments: []}", "names none"),
        ("{role: admin, users: [a], environment: [prod]}", "is not a field here"),
        ("{role: admin, users: [a], environments: prod}", "must be a list"),
        ("{role: admin, users: ['']}", "must be a list of texts"),
        ("{role: admin, groups: [[a]]}", "must be a list of texts"),
    ],
)
def test_a_grant_with_a_mistake_is_an_error_and_grants_nothing(tmp_path: Path, entry: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read(tmp_path, f"web: {{access: [{entry}]}}\n")


@pytest.mark.parametrize(
    ("address", "found"), [("127.0.0.1:80", ("127.0.0.1", 80)), (":0", ("127.0.0.1", 0)), ("[::1]:9", ("::1", 9))]
)
def test_an_address_is_a_host_and_a_port(address: str, found: tuple[str, int]) -> None:
    assert hosting.parse(address) == found


@pytest.mark.parametrize("address", ["8080", "host", "host:", "host:x", "host:70000", ""])
def test_anything_else_is_refused(address: str) -> None:
    with pytest.raises(InputError):
        hosting.parse(address)


@pytest.mark.parametrize(
    ("web", "address", "says"),
    [
        (people.WebAt(), "0.0.0.0:0", "open to the network"),
        (people.WebAt(url="http://penstock.example.com"), "192.0.2.1:0", "open to the network"),
        (people.WebAt(url="https://penstock.example.com"), "0.0.0.0:0", "nobody could sign in"),
    ],
)
async def test_a_page_that_would_be_open_or_closed_to_everybody_does_not_start(
    web: people.WebAt, address: str, says: str
) -> None:
    opened = cast("world.World", SimpleNamespace(fleet=SimpleNamespace(web=web), clock=None))
    with pytest.raises(InputError, match=says):
        async with hosting.host(opened, address):
            pass


async def test_without_an_address_there_is_no_page() -> None:
    opened = cast("Any", SimpleNamespace(fleet=SimpleNamespace(web=people.WebAt())))
    async with hosting.host(opened, None) as page:
        assert page is None


def test_a_token_that_can_be_guessed_lets_nobody_in(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("hunter2\n")
    at = people.WebAt(tokens=(people.TokenAt(name="x", file=tmp_path / "short"),))
    with pytest.raises(InputError) as caught:
        people.token_people(at)
    assert "hunter2" not in str(caught.value)
