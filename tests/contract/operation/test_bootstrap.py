"""Bringing a cluster under its repository: a real Gitea, a real API server, the command line itself."""

from __future__ import annotations

import asyncio
import json

import pytest
from click.testing import CliRunner

from penstock import cli
from penstock.adapters import git

pytestmark = pytest.mark.xdist_group("gitea")


async def repository(gitea, place):
    """A Gitea repository with a first commit; its clone URL, and the developer's credentials."""
    name = f"fleet-{place.namespace}"
    await gitea.create_repo(name, owner="platform")
    token = gitea.token("developer")
    credentials = git.Credentials(username="developer", password=token)
    url = gitea.clone_url(f"platform/{name}")
    repo = git.Mirror(url, place.folder / "seed.git", credentials=credentials)
    await repo.fetch()
    return name, url, token, repo


async def seeded(repo, place):
    from datetime import UTC, datetime

    from penstock.ports.repo import Signature

    author = Signature(name="dev", email="dev@example.com", when=datetime.now(UTC))
    tip = repo.resolve("main")
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: hello, namespace: {place.namespace}}}\ndata: {{k: '1'}}\n"
    changes = {"clusters/dev/hello.yaml": text.encode()}
    commit = repo.write_commit([tip] if tip else [], changes, message="first\n", author=author)
    await repo.push("main", commit, expect=tip)


async def test_a_cluster_is_under_its_repository_and_doing_it_again_changes_nothing(real_gitea, place):
    name, _, token, repo = await repository(real_gitea, place)
    await seeded(repo, place)
    config = place.folder / "cli.kubeconfig"
    config.write_text(json.dumps(place.server.kubeconfig()))
    (place.folder / "token").write_text(token)
    place.start("outside")
    arguments = ["bootstrap", "gitea", "--hostname", real_gitea.url, "--owner", "platform", "--repository", name]
    arguments += ["--path", "./clusters/dev", "--username", "developer", "--token-file", str(place.folder / "token")]
    arguments += ["--kubeconfig", str(config), "-n", place.namespace, "--timeout", "2m"]

    async def bootstrapped() -> str:
        done = await asyncio.to_thread(CliRunner().invoke, cli.command, arguments, standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return done.output

    output = await bootstrapped()
    assert "committed sync manifests" in output and "applied revision main@sha1:" in output
    assert token not in output
    assert await place.get("ConfigMap", "hello") is not None
    await repo.fetch()
    tip = repo.resolve("main")
    assert f"namespace: {place.namespace}".encode() in repo.tree(tip).read("clusters/dev/flux-system/gotk-sync.yaml")
    assert token.encode() not in repo.tree(tip).read("clusters/dev/flux-system/gotk-sync.yaml")
    source = await place.get("GitRepository", "flux-system", "source.toolkit.fluxcd.io")
    secret = await place.get("Secret", "flux-system")
    output = await bootstrapped()
    assert "up to date" in output and "committed" not in output
    await repo.fetch()
    assert repo.resolve("main") == tip
    after = await place.get("GitRepository", "flux-system", "source.toolkit.fluxcd.io")
    assert after["metadata"]["generation"] == source["metadata"]["generation"]
    assert (await place.get("Secret", "flux-system"))["metadata"]["resourceVersion"] == secret["metadata"]["resourceVersion"]


async def test_with_an_image_the_controller_is_in_git_too():
    from penstock.app import bootstrapping, incluster

    settings = bootstrapping.Settings(
        url="https://git.example.com/fleet.git", branch="main", path="clusters/dev", components=incluster.Settings(image="i:1")
    )
    written = bootstrapping.files(settings)
    folder = "clusters/dev/flux-system"
    assert set(written) == {f"{folder}/{name}" for name in ("gotk-sync.yaml", "gotk-components.yaml", "kustomization.yaml")}
    assert b"image: i:1" in written[f"{folder}/gotk-components.yaml"]
