"""Reading kubeconfigs: every way in, and every way it can be wrong."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import pytest
import yaml

from penstock.adapters.kube import kubeconfig
from penstock.adapters.kube.credentials import Credentials
from penstock.model.errors import InputError, RefusedError, RemoteError


def config(user=None, cluster=None, **top):
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "dev",
        "clusters": [{"name": "c", "cluster": {"server": "https://example.test:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {"token": "s3cr3t"}}],
        "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u", "namespace": "apps"}}],
        **top,
    }


def written(folder: Path, content, name="config") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_the_current_context_and_its_parts(tmp_path):
    access = kubeconfig.load(written(tmp_path, config(cluster={"tls-server-name": "kube", "proxy-url": "http://proxy:1"})))
    assert (access.name, access.server, access.namespace) == ("dev", "https://example.test:6443", "apps")
    assert (access.token, access.tls_server_name, access.proxy_url) == ("s3cr3t", "kube", "http://proxy:1")


def test_secrets_are_never_shown(tmp_path):
    user = {"token": "s3cr3t", "password": "s3cr3t", "client-key-data": base64.b64encode(b"s3cr3t").decode()}
    assert "s3cr3t" not in repr(kubeconfig.load(written(tmp_path, config(user))))


def test_files_are_looked_up_beside_the_kubeconfig(tmp_path):
    (tmp_path / "ca.pem").write_bytes(b"CA")
    access = kubeconfig.load(written(tmp_path, config({"tokenFile": "token"}, {"certificate-authority": "ca.pem"})))
    assert access.ca == b"CA"
    assert access.token_file == tmp_path / "token"


def test_impersonation(tmp_path):
    access = kubeconfig.load(
        written(tmp_path, config({"token": "t", "as": "jane", "as-groups": ["a", "b"], "as-user-extra": {"k": ["v"]}}))
    )
    assert (access.impersonate_user, access.impersonate_groups) == ("jane", ("a", "b"))
    assert access.impersonate_extra == (("k", ("v",)),)


def test_the_first_file_of_several_wins(tmp_path, monkeypatch):
    first = written(tmp_path, {**config(), "users": []}, "one")
    second = written(tmp_path, config({"token": "from-two"}, **{"current-context": "other"}), "two")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{second}")
    access = kubeconfig.load()
    assert (access.name, access.token) == ("dev", "from-two")


@pytest.mark.parametrize(
    ("content", "context", "said"),
    [
        (config(), "nope", "no context named 'nope'"),
        (config(**{"current-context": ""}), None, "no context chosen"),
        ({**config(), "clusters": []}, None, "no cluster named 'c'"),
        (config(cluster={"server": "example.test"}), None, "no usable server address"),
        (config(cluster={"certificate-authority": "missing.pem"}), None, "missing.pem"),
        (config(cluster={"certificate-authority-data": "%%%"}), None, "not base64"),
        ("- a list", None, "not a kubeconfig"),
        ("a: [s3cr3t", None, "not a YAML file"),
    ],
)
def test_what_is_wrong_is_said_with_the_file_and_without_its_content(tmp_path, content, context, said):
    path = written(tmp_path, content)
    with pytest.raises(InputError) as caught:
        kubeconfig.load(path, context)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_no_kubeconfig_at_all_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(RemoteError, match="no kubeconfig found"):
        kubeconfig.load()


def test_inside_a_cluster_the_pods_account_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    (tmp_path / "token").write_text("t")
    (tmp_path / "namespace").write_text("flux-system\n")
    access = kubeconfig.in_cluster(tmp_path)
    assert access is not None
    assert (access.server, access.namespace, access.token_file) == ("https://[fd00::1]:443", "flux-system", tmp_path / "token")


def plugin(folder: Path, body: str) -> Path:
    path = folder / "plugin"
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(0o755)
    return path


async def test_an_exec_plugin_gives_the_token_and_is_asked_again_when_it_expired(tmp_path):
    body = (
        "import json, os, pathlib\n"
        "count = pathlib.Path(os.environ['COUNT']); n = int(count.read_text()) + 1; count.write_text(str(n))\n"
        "assert json.loads(os.environ['KUBERNETES_EXEC_INFO'])['kind'] == 'ExecCredential'\n"
        "expiry = '2001-01-01T00:00:00Z' if n == 1 else '2999-01-01T00:00:00Z'\n"
        "print(json.dumps({'kind': 'ExecCredential', 'status': {'token': f'token-{n}', 'expirationTimestamp': expiry}}))"
    )
    count = tmp_path / "count"
    count.write_text("0")
    command = {"command": "./plugin", "env": [{"name": "COUNT", "value": str(count)}]}
    plugin(tmp_path, body)
    found = Credentials(kubeconfig.load(written(tmp_path, config({"exec": command}))))
    assert await found.authorization() == "Bearer token-1"
    assert await found.authorization() == "Bearer token-2"
    assert await found.authorization() == "Bearer token-2"
    assert await found.authorization(renew=True) == "Bearer token-3"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import sys; print('s3cr3t'); sys.exit(3)", "failed with exit code 3"),
        ("print('s3cr3t')", "did not print an ExecCredential"),
        ("print('{\"status\": {}}')", "neither a token nor a certificate"),
    ],
)
async def test_a_plugin_that_fails_is_named_and_what_it_printed_is_not(tmp_path, body, said):
    plugin(tmp_path, body)
    found = Credentials(kubeconfig.load(written(tmp_path, config({"exec": {"command": "./plugin"}}))))
    with pytest.raises(RefusedError) as caught:
        await found.authorization()
    assert said in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


async def test_a_plugin_that_is_not_installed_says_how_to_get_it(tmp_path):
    command = {"command": "no-such-plugin-at-all", "installHint": "brew install it"}
    found = Credentials(kubeconfig.load(written(tmp_path, config({"exec": command}))))
    with pytest.raises(RefusedError, match="brew install it"):
        await found.authorization()
