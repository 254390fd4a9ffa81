"""Encrypted files: opened with the Kustomization's own keys on the way to the cluster, and never anywhere else."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from tests import sealing
from tests.sealing import AgeKey

from penstock.model import flux

PASSWORD = "canary-swordfish-8d1f0c2b"


async def put_keys(world, *keys: AgeKey, name: str = "keys", namespace: str | None = None) -> None:
    metadata = {"name": name, "namespace": namespace or world.namespace}
    data = {f"{index}.agekey": key.secret for index, key in enumerate(keys)}
    await world.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})


async def begun(world, files, **spec) -> str:
    commit = world.repo.commit(files)
    await world.source()
    spec = {"decryption": {"provider": "sops", "secretRef": {"name": "keys"}}, **spec}
    await world.kustomization(**{key: value for key, value in spec.items() if value is not None})
    await world.start()
    return f"main@sha1:{commit}"


async def content(world, name: str) -> dict[str, str]:
    found = await world.get("Secret", name)
    return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


async def secrets_of(world) -> list[dict]:
    resource = await world.cluster.resource("", "Secret")
    listed = (await world.cluster.list(resource, world.namespace, label_selector=flux.OWNER_NAME)).items
    return [{key: base64.b64decode(value).decode() for key, value in each["data"].items()} for each in listed]


@pytest.mark.row("S07")
async def test_a_secret_is_decrypted_and_only_the_cluster_sees_it(world, tmp_path):
    key = AgeKey()
    await put_keys(world, key)
    text = sealing.sealed_secret("db", world.namespace, {"password": PASSWORD}, key)
    await world.until_applied(await begun(world, {"db.yaml": text}))
    assert await content(world, "db") == {"password": PASSWORD}
    assert "sops" not in await world.get("Secret", "db")
    await world.settled()
    status = await world.status()
    assert PASSWORD not in repr(status)
    for folder, _, names in os.walk(tmp_path):
        for name in names:
            path = Path(folder) / name
            if path.is_file() and "cluster" not in path.relative_to(tmp_path).parts:
                assert PASSWORD.encode() not in path.read_bytes(), path


async def test_identical_secrets_are_not_applied_again(world):
    key = AgeKey()
    await put_keys(world, key)
    text = sealing.sealed_secret("db", world.namespace, {"password": PASSWORD}, key)
    await world.until_applied(await begun(world, {"db.yaml": text}))
    before = (await world.get("Secret", "db"))["metadata"]["resourceVersion"]
    # encrypted anew, the text is another and the secret the same
    await world.until_applied(world.push({"db.yaml": sealing.sealed_secret("db", world.namespace, {"password": PASSWORD}, key)}))
    assert (await world.get("Secret", "db"))["metadata"]["resourceVersion"] == before


async def test_the_sources_of_generators_patches_and_components_are_opened_too(world):
    key = AgeKey()
    await put_keys(world, key)
    patch = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "patched"}, "stringData": {"new": PASSWORD}}
    import yaml

    files = {
        "kustomization.yaml": f"namespace: {world.namespace}\nresources: [patched.yaml]\ncomponents: [part]\n"
        "patches: [{path: patch.yaml}]\n"
        "secretGenerator:\n- name: generated\n  envs: [secret.env]\n  files: [token=token.bin]\n",
        "patched.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: patched}\nstringData: {old: plain}\n",
        "patch.yaml": yaml.safe_dump(sealing.sealed(patch, key), width=10_000, sort_keys=False),
        "secret.env": sealing.sealed_dotenv({"PASSWORD": PASSWORD}, key),
        "token.bin": sealing.sealed_binary("bytes\nof it\n", key),
        "part/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [s.yaml]\n",
        "part/s.yaml": sealing.sealed_secret("part", world.namespace, {"k": PASSWORD}, key),
    }
    await world.until_applied(await begun(world, files))
    found = sorted(await secrets_of(world), key=repr)
    assert {"PASSWORD": PASSWORD, "token": "bytes\nof it\n"} in found
    assert {"old": "plain", "new": PASSWORD} in found
    assert {"k": PASSWORD} in found
    resource = await world.cluster.resource("", "Secret")
    names = [each["metadata"]["name"] for each in (await world.cluster.list(resource, world.namespace)).items]
    from penstock import render
    from penstock.model.tree import MemoryTree

    # the hash in a generated name is that of the plain content, as it is with Flux
    plain = MemoryTree(
        {
            "kustomization.yaml": b"secretGenerator: [{name: generated, envs: [a.env], files: [token=b]}]\n",
            "a.env": f"PASSWORD={PASSWORD}\n".encode(),
            "b": b"bytes\nof it\n",
        }
    )
    assert render.build(plain, "").objects[0].id.name in names


async def test_what_a_config_map_is_made_of_stays_encrypted(world):
    key = AgeKey()
    await put_keys(world, key)
    files = {
        "kustomization.yaml": f"namespace: {world.namespace}\n"
        "configMapGenerator: [{name: c, files: [f=secret.env], options: {disableNameSuffixHash: true}}]\n",
        "secret.env": sealing.sealed_dotenv({"PASSWORD": PASSWORD}, key),
    }
    await world.until_applied(await begun(world, files))
    assert PASSWORD not in repr(await world.get("ConfigMap", "c"))


async def test_without_decryption_an_encrypted_secret_is_refused_before_anything_is_applied(world, namespaced):
    text = sealing.sealed_secret("db", world.namespace, {"password": PASSWORD}, AgeKey())
    await begun(world, {"db.yaml": text, "a.yaml": namespaced("a")}, decryption=None)
    message = await world.until_failed("BuildFailed")
    assert "is SOPS encrypted, configuring decryption is required for this secret to be reconciled" in message
    assert await world.get("ConfigMap", "a") is None


@pytest.mark.row("S04")
async def test_a_wrong_key_is_refused_and_the_right_one_heals_at_once(world, namespaced):
    key = AgeKey()
    await put_keys(world, AgeKey())
    text = sealing.sealed_secret("db", world.namespace, {"password": PASSWORD}, key)
    revision = await begun(world, {"db.yaml": text, "a.yaml": namespaced("a")}, retryInterval="10m")
    message = await world.until_failed("BuildFailed")
    assert "db.yaml: cannot get sops data key" in message and PASSWORD not in message
    assert await world.get("ConfigMap", "a") is None
    label = {"metadata": {"labels": {flux.WATCH: "Enabled"}}}
    await put_keys(world, key)
    # the label makes the change wake us: the retry is far away
    await world.patch("Secret", "keys", label)
    await world.until_applied(revision)
    assert await content(world, "db") == {"password": PASSWORD}


async def test_a_missing_key_secret_is_told(world):
    text = sealing.sealed_secret("db", world.namespace, {"password": PASSWORD}, AgeKey())
    await begun(world, {"db.yaml": text})
    message = await world.until_failed("BuildFailed")
    assert f"cannot get sops decryption Secret '{world.namespace}/keys': secrets \"keys\" not found" in message


@pytest.mark.row("S04")
async def test_what_was_changed_after_encryption_is_refused_unless_told_otherwise(world):
    key = AgeKey()
    await put_keys(world, key)
    text = sealing.sealed_secret("db", world.namespace, {"password": PASSWORD}, key, damage_mac=True)
    revision = await begun(world, {"db.yaml": text})
    assert "failed to verify sops data integrity" in await world.until_failed("BuildFailed")
    assert await world.get("Secret", "db") is None
    mark = {"metadata": {"annotations": {flux.SOPS_MAC: "ignored"}}}
    await world.patch(flux.KUSTOMIZATION, "app", mark, group=flux.KUSTOMIZE_GROUP)
    await world.until_applied(revision)
    assert await content(world, "db") == {"password": PASSWORD}


@pytest.mark.row("S04")
async def test_a_file_encrypted_in_part_is_refused(world, namespaced):
    key = AgeKey()
    await put_keys(world, key)
    text = sealing.sealed_secret("db", world.namespace, {"password": PASSWORD, "other": "x"}, key)
    text = text.replace(next(line for line in text.split("\n") if line.startswith("  other:")), f"  other: {PASSWORD}")
    await begun(world, {"db.yaml": text, "a.yaml": namespaced("a")})
    message = await world.until_failed("BuildFailed")
    assert "db.yaml:8: the value at 'stringData.other'" in message and PASSWORD not in message
    assert await world.get("ConfigMap", "a") is None


async def test_the_keys_for_everybody_are_a_fallback_only(world):
    own, everybodys = AgeKey(), AgeKey()
    world.options = {"sops_age_secret": (world.namespace, "global")}
    await put_keys(world, everybodys, name="global")
    await put_keys(world, own)
    text = sealing.sealed_secret("db", world.namespace, {"password": PASSWORD}, everybodys)
    # a Kustomization with keys of its own does not get everybody's
    await begun(world, {"db.yaml": text})
    assert "cannot get sops data key" in await world.until_failed("BuildFailed")
    await world.kustomization("second", decryption={"provider": "sops"})

    async def there() -> bool:
        return await world.get("Secret", "db") is not None

    await world.until(there, "the secret is applied")
    assert await content(world, "db") == {"password": PASSWORD}


async def test_an_object_can_ask_to_stay_encrypted(world):
    key = AgeKey()
    await put_keys(world, key)
    marks = {flux.DECRYPT: "Disabled", flux.SSA: "Ignore"}
    kept = sealing.sealed_secret("kept", world.namespace, {"password": PASSWORD}, key, annotations=marks)
    opened = sealing.sealed_secret("db", world.namespace, {"password": PASSWORD}, key)
    await world.until_applied(await begun(world, {"kept.yaml": kept, "db.yaml": opened}))
    assert await world.get("Secret", "kept") is None
    assert await content(world, "db") == {"password": PASSWORD}


async def test_another_key_for_the_same_files_builds_anew(world):
    """The build is remembered; the keys are part of what it is remembered by."""
    one, two = AgeKey(), AgeKey()
    await put_keys(world, one, two)
    files = {"a.yaml": sealing.sealed_secret("a", world.namespace, {"k": "1"}, one)}
    await world.until_applied(await begun(world, files))
    await put_keys(world, two)
    await world.patch("Secret", "keys", {"data": {"1.agekey": None}})
    assert world.manager is not None
    world.manager.reconcile(world.namespace, "app")
    assert "cannot get sops data key" in await world.until_failed("BuildFailed")


async def test_cloud_identities_are_answered_as_flux_does_with_the_gate_off(world, namespaced):
    await begun(world, {"a.yaml": namespaced("a")}, decryption={"provider": "sops", "serviceAccountName": "kms"})
    message = await world.until_failed("FeatureGateDisabled")
    assert message == (
        "to use spec.decryption.serviceAccountName for decryption authentication please enable the "
        "ObjectLevelWorkloadIdentity feature gate in the controller"
    )


@pytest.mark.parametrize("encrypted", [True, False])
@pytest.mark.row("S06")
async def test_what_is_recorded_as_applied_is_what_others_render_without_keys(world, encrypted):
    """A promotion has no keys: what it compares must not depend on them."""
    key = AgeKey()
    await put_keys(world, key)
    text = sealing.sealed_secret("db", world.namespace, {"password": PASSWORD}, key)
    plain = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c, namespace: {world.namespace}}}\n"
    await world.until_applied(await begun(world, {"db.yaml": text} if encrypted else {"c.yaml": plain}))
    from penstock import render
    from penstock.model.tree import MemoryTree

    tree = MemoryTree({"db.yaml": text.encode()} if encrypted else {"c.yaml": plain.encode()})
    spec = (await world.get(flux.KUSTOMIZATION, "app", group=flux.KUSTOMIZE_GROUP))["spec"]
    rendered = render.flux_build(tree, spec, name="app", namespace=world.namespace)
    assert (await world.status())["history"][0]["digest"] == rendered.digest
