"""No secret leaves the place it was put: 18 places in a real world, and everything that world shows, says, writes or keeps."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import logging
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import browsing
import canaries
import pytest

from penstock.model.values import EnvName
from penstock.ports.cluster import Cluster

PATIENCE_SECONDS = 60
KEPT_ON_PURPOSE = {
    r"token": "Penstock's own token on the forge",
    r"clone-url": "the address that git clone takes, with the developer's token",
    r"people/.*": "the tokens of the sandbox's people",
    r"web-token": "what the link carries",
    r"kubeconfig": "the clusters' credentials",
    r"clusters/[^/]*/server.json": "the same",
    r".*\.git/.*": "Git's objects: a Secret that was committed is there",
    r"cache/.*": "mirrors of the same",
    r"forge/repositories/.*": "the same",
    r".*\.(db|sqlite)(-wal|-shm|-journal)?": "the clusters' and the forge's own databases, as etcd is",
    r".*(key|secret|token)[^/]*": "keys of servers",
}
COMMANDS = (
    "status", "status -o json", "explain web", "explain api", "log dev", "log staging -o json", "diff staging",
    "get all", "get ks -o json", "events --env dev", "tree --env dev", "trace secret canary -n shop --env dev", "stats",
    "promote web --to staging --dry-run", "rollback dev --app web --dry-run",
)  # fmt: skip


async def resource(cluster: Cluster, group: str, kind: str) -> Any:
    found = await cluster.resource(group, kind)
    assert found is not None, kind
    return found


async def plant(whole: browsing.Whole, birds: canaries.Canaries, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a secret into every place a world keeps some."""
    box = whole.running.box
    dev = whole.running.world.clusters[EnvName("dev")]
    for user, token in box.tokens.items():
        birds.plant(f"forge token of {user}", token)
    birds.plant("token of the web page", browsing.TOKEN)
    birds.plant("token of a cluster", cluster_token(box.kubeconfig))
    monkeypatch.setenv("PENSTOCK_TEST_SECRET", birds.plant("environment variable"))
    secret = await resource(dev, "", "Secret")
    live = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "beside",
            "namespace": "flux-system",
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": json.dumps(
                    {"kind": "Secret", "stringData": {"a": birds.plant("last-applied annotation")}}
                )
            },
        },
        "stringData": {"WORD": birds.plant("live Secret that substituteFrom names")},
    }
    await dev.apply(secret, live, field_manager="kubectl")
    await dev.apply(
        secret,
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "git-login", "namespace": "flux-system"},
            "stringData": {"username": "x", "password": birds.plant("password of a GitRepository")},
        },
        field_manager="kubectl",
    )
    repository = await resource(dev, "source.toolkit.fluxcd.io", "GitRepository")
    inner = birds.plant("URL of a GitRepository")
    for name, spec in {
        "in-secret": {"url": "http://127.0.0.1:9/x.git", "secretRef": {"name": "git-login"}},
        "in-url": {"url": f"http://x:{inner.replace('/', '%2F')}@127.0.0.1:9/x.git"},
    }.items():
        manifest = {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": name, "namespace": "flux-system"},
            "spec": {"interval": "1m0s", "ref": {"branch": "main"}} | spec,
        }
        await dev.apply(repository, manifest, field_manager="kubectl")


def cluster_token(kubeconfig: Path) -> str:
    import yaml

    return str(yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"])


async def commit_secrets(whole: browsing.Whole, birds: canaries.Canaries) -> str:
    """A Secret with everything a Secret has, committed to dev: it travels to staging."""
    data = base64.b64encode(birds.plant("data of a Secret in Git").encode()).decode()
    text = f"""apiVersion: v1
kind: Secret
metadata:
  name: canary
  namespace: shop
  annotations:
    example.com/password: {json.dumps(birds.plant("annotation of a Secret"))}
data:
  one: {data}
stringData:
  two: {json.dumps(birds.plant("stringData of a Secret in Git"))}
  three: |
    several lines
    {birds.plant("one line of a value of a Secret")}
"""
    return await whole.write(
        {
            "clusters/dev/apps/web/secret.yaml": text,
            "clusters/dev/apps/web/kustomization.yaml": (
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
                "resources: [deployment.yaml, service.yaml, ingress.yaml, config.yaml, secret.yaml]\n"
                "secretGenerator:\n- name: made\n  literals:\n  - key=" + birds.plant("literal of a secretGenerator") + "\n"
            ),
        },
        "a secret",
    )


async def second_manager(whole: browsing.Whole, birds: canaries.Canaries) -> None:
    """Somebody else writes a key of the same Secret, in the cluster: drift that is taken back, or theirs."""
    dev = whole.running.world.clusters[EnvName("dev")]
    secret = await resource(dev, "", "Secret")
    value = base64.b64encode(birds.plant("key of a second field manager").encode()).decode()
    await dev.patch(secret, "shop", "canary", {"data": {"one": value, "four": value}}, kind="merge", field_manager="kubectl-edit")


async def break_secret(whole: browsing.Whole, birds: canaries.Canaries) -> None:
    """A Secret no API server takes: what is said about it must not quote it."""
    bad = birds.plant("invalid Secret")
    await whole.write(
        {
            "clusters/dev/apps/api/secret.yaml": (
                "apiVersion: v1\nkind: Secret\nmetadata: {name: bad, namespace: shop}\n"
                f'stringData: {{"pw": "{bad}", 1: "{bad}"}}\ndata: {{x: "{bad}"}}\n'
            ),
            "clusters/dev/apps/api/kustomization.yaml": (
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
                "resources: [deployment.yaml, service.yaml, config.yaml, secret.yaml]\n"
            ),
        },
        "a bad secret",
    )


async def until(what: str, ask: Any) -> Any:
    """What `ask` finds, as soon as it finds something."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (found := await ask()):  # noqa: ASYNC110 - other processes make it come true
            await asyncio.sleep(0.1)
    return found


async def conditions(cluster: Cluster) -> str:
    kind = await resource(cluster, "kustomize.toolkit.fluxcd.io", "Kustomization")
    return json.dumps([one.get("status") for one in (await cluster.list(kind, "flux-system")).items], default=str)


async def test_no_secret_leaves_its_place(
    whole: browsing.Whole, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    birds = canaries.Canaries()
    forge = whole.running.world.forge
    await plant(whole, birds, monkeypatch)
    commit = await commit_secrets(whole, birds)
    pulls = await until("promotion", lambda: open_pulls(whole))
    await second_manager(whole, birds)
    seen = {f"{sink} {number}": text async for number, sink, text in pages(whole, birds, pulls)}
    await break_secret(whole, birds)
    dev = whole.running.world.clusters[EnvName("dev")]
    broken = await until("a refusal", lambda: told_broken(dev))
    assert "secret.yaml" in broken
    seen |= {f"{sink} {number} later": text async for number, sink, text in pages(whole, birds, pulls)}
    seen |= await on_the_forge(whole)
    seen |= await in_the_clusters(whole)
    seen |= await by_commands(whole)
    for name, data in canaries.of_folder(whole.running.box.state, KEPT_ON_PURPOSE):
        seen[f"state folder: {name}"] = data.decode("latin-1")
    private = [whole.running.box.state / name for name in ("token", "kubeconfig", "clone-url")]
    assert [path.name for path in private if path.exists() and path.stat().st_mode & 0o077] == [], "others may read them"
    seen["log at DEBUG"] = caplog.text
    seen["output"] = "".join(capfd.readouterr())
    seen["representations"] = "\n".join(map(repr, (whole.running, whole.running.world, whole.running.box, whole.page, forge)))
    seen["children"] = "\n".join(children())
    assert len(birds.planted) >= 15, sorted(birds.planted)
    kinds = {re.sub(r" \d.*", "", name.partition(":")[0]) for name in seen}
    assert len(kinds) >= 18, sorted(kinds)
    assert commit[:7] in seen["commands: status"], seen["commands: status"]
    assert "a bad secret" in seen["commands: log dev"], seen["commands: log dev"]
    found = {f"{place} in {sink}" for sink, text in seen.items() for place in birds.found(text)}
    assert sorted(found) == []


async def open_pulls(whole: browsing.Whole) -> list[int]:
    return [pull.number for pull in await whole.running.world.forge.pulls() if pull.head.endswith("staging/web")]


async def told_broken(cluster: Cluster) -> str:
    text = await conditions(cluster)
    return text if "secret.yaml" in text or ("Secret" in text and "False" in text) else ""


async def pages(whole: browsing.Whole, birds: canaries.Canaries, pulls: list[int]) -> AsyncIterator[tuple[int, str, str]]:
    """Every page, its event stream, and every refusal there is; the session's own cookie is a secret too."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(whole.page.sign_in_url):
            pass
        cookie = next(iter(session.cookie_jar)).value
        birds.plant("cookie of a session", cookie)
        number, asked = pulls[0], list[str]()
        for path in ("/", "/app/web", "/app/api", f"/promotion/{number}", "/environment/dev", "/environment/staging",
                     "/log/dev", "/sessions", "/nowhere", "/promotion/9999", f"/sign-in?token={'x' * 20}"):  # fmt: skip
            asked.append(path)
            async with session.get(whole.page.url + path) as answer:
                yield len(asked), ("pages" if answer.status == 200 else "refusals"), await answer.text()
            async with session.get(f"{whole.page.url}/events", params={"of": path, "since": "nothing"}) as answer:
                if answer.status != 200:
                    yield len(asked), "refusals", await answer.text()
                    continue
                async with asyncio.timeout(20):
                    yield (
                        len(asked),
                        "event streams",
                        (await answer.content.readuntil(b"\n\n") + await answer.content.readuntil(b"\n\n")).decode(),
                    )
        async with session.post(f"{whole.page.url}/promotion/{number}/approve", data={"csrf": "wrong"}) as answer:
            yield len(asked), "refusals", await answer.text()


async def on_the_forge(whole: browsing.Whole) -> dict[str, str]:
    forge, repo = whole.running.world.forge, whole.running.world.repo
    await repo.fetch()
    pulls = await forge.pulls(state="all")
    comments = [one for pull in pulls for one in await forge.comments(pull.number)]
    reviews = [one for pull in pulls for one in await forge.reviews(pull.number)]
    statuses = [one for pull in pulls for one in await forge.statuses(pull.head_sha)]
    branches = repo.branches()
    commits = [one for tip in branches.values() for one in itertools.islice(repo.log(tip), 200)]
    notes = [repo.note(ref, one.id) for one in commits for ref in ("penstock", "commits", "penstock/evidence")]
    return {
        "titles": "\n".join(pull.title for pull in pulls),
        "texts of pull requests": "\n".join(pull.body for pull in pulls),
        "comments": "\n".join(one.body for one in comments) + "\n".join(one.body for one in reviews),
        "commit statuses": "\n".join(f"{one.context} {one.description} {one.url}" for one in statuses),
        "branches": "\n".join(branches),
        "commit messages": "\n".join(one.message for one in commits),
        "notes": "\n".join(note or "" for note in notes),
    }


async def in_the_clusters(whole: browsing.Whole) -> dict[str, str]:
    """Everything but Secrets themselves, which keep what they are for, and the objects it was written into by hand."""
    found: dict[str, list[Any]] = {"events": [], "conditions": [], "other objects": []}
    kinds = (
        ("", "Event", "events"), ("kustomize.toolkit.fluxcd.io", "Kustomization", "conditions"),
        ("source.toolkit.fluxcd.io", "GitRepository", "conditions"), ("", "ConfigMap", "other objects"),
        ("apps", "Deployment", "other objects"), ("", "Service", "other objects"), ("", "Namespace", "other objects"),
    )  # fmt: skip
    for cluster in whole.running.world.clusters.values():
        for group, kind, sink in kinds:
            for one in (await cluster.list(await resource(cluster, group, kind))).items:
                # The URL that somebody wrote into a spec stands there; what is said about it is ours.
                shown = {
                    key: value for key, value in one.items() if not (kind == "GitRepository" and key in ("spec", "metadata"))
                }
                found[sink].append(shown)
    return {sink: json.dumps(values, default=str) for sink, values in found.items()}


async def by_commands(whole: browsing.Whole) -> dict[str, str]:
    """What the commands print, to both streams."""
    penstock = Path(sys.executable).with_name("penstock")
    fleet = whole.running.box.state / "fleet.yaml"
    found = {}
    for command in COMMANDS:
        process = await asyncio.create_subprocess_exec(
            str(penstock),
            *command.split(),
            "--fleet",
            str(fleet),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=whole.folder,
        )
        said, _ = await process.communicate()
        found[f"commands: {command}"] = said.decode()
    return found


def children() -> Iterator[str]:
    """Command lines of our child processes: everybody on the machine may read them."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid():
                yield (path.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError):
            continue


def test_a_canary_is_found_in_every_spelling() -> None:
    birds = canaries.Canaries()
    value = birds.plant("place")
    data = value.encode()
    said: Mapping[str, str] = {
        "plain": f"x{value}y",
        "base64": base64.b64encode(data).decode(),
        "base64 of more": base64.b64encode(b'{"password":"' + data + b'"}').decode(),
        "hex": data.hex(),
        "JSON": json.dumps({"a": value}),
        "wrapped": "\n".join([value[:10], value[10:]]),
        "reversed": value[::-1],
        "url": f"?a={value.replace('+', '%2B').replace('/', '%2F')}",
    }
    assert [name for name, text in said.items() if birds.found(text) != ["place"]] == []
    assert birds.found("nothing of the kind") == []
