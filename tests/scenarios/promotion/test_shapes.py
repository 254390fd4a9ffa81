"""Apps that come, go, move and hold secrets: each is one explicit change, never half of one."""

from __future__ import annotations

import pytest
from promotion_fleet import WEB, Fleet

CIPHER = """\
apiVersion: v1
kind: Secret
metadata:
  name: key
stringData:
  token: ENC[AES256_GCM,data:{},iv:aaaa,tag:bbbb,type:str]
sops:
  age: []
  lastmodified: "2026-03-02T10:00:00Z"
  mac: ENC[AES256_GCM,data:cccc,iv:dddd,tag:eeee,type:str]
  version: 3.9.0
"""


@pytest.mark.row("M15")
async def test_a_renamed_file_moves_in_the_target_with_its_differences_and_deletes_nothing(fleet: Fleet) -> None:
    moved: dict[str, str | None] = {}
    for old, new in (("config.yaml", "settings.yaml"),):
        moved[WEB.format("dev") + new] = await fleet.read(WEB.format("dev") + old)
        moved[WEB.format("dev") + old] = None
    listing = WEB.format("dev") + "kustomization.yaml"
    moved[listing] = (await fleet.read(listing)).replace("- config.yaml", "- settings.yaml")
    await fleet.commit("a better name for the file", moved)
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open web -> staging"]
    pull = await fleet.the_pull()
    assert "will be deleted" not in pull.body and "**Same configuration as dev@" in pull.body
    await fleet.approve(pull)
    await fleet.settle()
    before = (await fleet.git("show", f"{pull.base_sha}:{WEB.format('staging')}config.yaml")) + "\n"
    assert await fleet.read(WEB.format("staging") + "settings.yaml") == before, "byte for byte, its own values included"
    assert "- settings.yaml" in await fleet.read(WEB.format("staging") + "kustomization.yaml")


@pytest.mark.row("M14")
async def test_an_app_that_the_target_has_no_place_for_is_brought_whole(fleet: Fleet) -> None:
    """Staging has an apps directory without a kustomization of its own for the new app: files and line arrive together."""
    cron = "clusters/{}/apps/cron/"
    listing = await fleet.read("clusters/dev/apps/kustomization.yaml")
    files = {
        cron.format("dev") + "config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: cron\ndata:\n  every: 5m\n",
        cron.format("dev") + "kustomization.yaml": "resources:\n- config.yaml\n- ../../base/job.yaml\n",
        "clusters/dev/base/job.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: cron-job\ndata: {a: b}\n",
        "clusters/dev/apps/kustomization.yaml": listing.replace("- api\n", "- api\n- cron\n"),
    }
    await fleet.commit("cron, with a file outside of its directory", files)
    await fleet.syncs("dev")
    await fleet.settle()
    for pull in await fleet.pulls():
        if pull.head.endswith("/cron"):
            assert pull.draft or "Cannot be rendered" in pull.body, "half an app would not render, so it is not ready"
    text = await fleet.read("clusters/staging/apps/kustomization.yaml")
    assert "cron" not in text


@pytest.mark.row("M14")
async def test_a_new_app_that_names_its_environment_is_pointed_out_before_it_is_ready(fleet: Fleet) -> None:
    listing = await fleet.read("clusters/dev/apps/kustomization.yaml")
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: cron\ndata:\n  host: cron.dev.example\n"
    files = {
        "clusters/dev/apps/cron/config.yaml": config,
        "clusters/dev/apps/cron/kustomization.yaml": "resources:\n- config.yaml\n",
        "clusters/dev/apps/kustomization.yaml": listing.replace("- api\n", "- api\n- cron\n"),
    }
    await fleet.commit("add cron", files)
    await fleet.syncs("dev")
    await fleet.settle()
    pull = await fleet.the_pull()
    assert pull.draft and "config.yaml" in pull.body and "names dev" in pull.body


@pytest.mark.row("M28")
async def test_an_encrypted_file_travels_as_ciphertext_is_pointed_out_and_shown_nowhere(fleet: Fleet) -> None:
    path = WEB.format("{}") + "secret.enc.yaml"
    files = {path.format(name): CIPHER.format("b2xkCg==") for name in ("dev", "staging", "prod")}
    for name in ("dev", "staging", "prod"):
        listing = WEB.format(name) + "kustomization.yaml"
        files[listing] = (await fleet.read(listing)) + "- secret.enc.yaml\n"
    start = await fleet.commit("a secret", files)
    settled = f"apiVersion: penstock.dev/v1alpha1\nkind: Settled\nspec: {{from: dev, to: staging, commit: {start}}}\n"
    await fleet.commit("meant", {".penstock/settled.yaml": settled})
    await fleet.commit("rotate", {path.format("dev"): CIPHER.format("bmV3Y2FuYXJ5Cg==")})
    await fleet.syncs("dev")
    await fleet.settle()
    pull = next(one for one in await fleet.pulls() if one.head.endswith("staging/web"))
    assert pull.draft, "a person says first that staging can decrypt it"
    assert "bmV3Y2FuYXJ5" not in pull.body and "encrypted and travels as it is" in pull.body
    await fleet.forges["reviewer"].update_pull(pull.number, draft=False)
    await fleet.approve(pull)
    await fleet.settle()
    assert await fleet.read(path.format("staging")) == CIPHER.format("bmV3Y2FuYXJ5Cg==")


async def test_what_a_secret_is_generated_from_travels_and_is_shown_nowhere(fleet: Fleet) -> None:
    files: dict[str, str | None] = {}
    for name in ("dev", "staging", "prod"):
        listing = WEB.format(name) + "kustomization.yaml"
        files[listing] = await fleet.read(listing) + "secretGenerator:\n- name: login\n  envs: [private/login.env]\n"
        files[WEB.format(name) + "private/login.env"] = "password=canary-one\n"
    start = await fleet.commit("a login", files)
    settled = f"apiVersion: penstock.dev/v1alpha1\nkind: Settled\nspec: {{from: dev, to: staging, commit: {start}}}\n"
    await fleet.commit("meant", {".penstock/settled.yaml": settled})
    await fleet.commit("rotate", {WEB.format("dev") + "private/login.env": "password=canary-two\n"})
    await fleet.syncs("dev")
    await fleet.settle()
    pull = next(one for one in await fleet.pulls() if one.head.endswith("staging/web"))
    assert "canary-" not in pull.body and "private/login.env: holds secrets, not shown" in pull.body
    await fleet.approve(pull)
    await fleet.settle()
    assert await fleet.read(WEB.format("staging") + "private/login.env") == "password=canary-two\n"
