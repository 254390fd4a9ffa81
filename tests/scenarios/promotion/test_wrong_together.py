"""Changes that are each right and wrong together: a merge of fields cannot see it, the rendered objects can."""

from __future__ import annotations

import pytest
from promotion_fleet import WEB, Fleet

KUSTOMIZATION = WEB.format("{}") + "kustomization.yaml"


async def generates(fleet: Fleet) -> None:
    """Every environment's web gets a generated ConfigMap with a value of its own, and dev's is what the others come from."""
    files: dict[str, str | None] = {}
    for environment, workers in (("dev", 1), ("staging", 8), ("prod", 16)):
        path = KUSTOMIZATION.format(environment)
        generator = "configMapGenerator:\n- name: tuning\n  files: [tuning.properties]\n"
        files[path] = await fleet.read(path) + generator
        files[WEB.format(environment) + "tuning.properties"] = f"workers={workers}\nretries=1\n"
        deployment = WEB.format(environment) + "deployment.yaml"
        old = "        - configMapRef:\n            name: web\n"
        files[deployment] = (await fleet.read(deployment)).replace(old, old + old.replace("web", "tuning"))
    start = await fleet.commit("tune the web", files)
    settled = "apiVersion: penstock.dev/v1alpha1\nkind: Settled\nspec: {{from: {}, to: {}, commit: {}}}\n"
    pairs = (("dev", "staging"), ("staging", "prod"))
    await fleet.commit("meant", {".penstock/settled.yaml": "---\n".join(settled.format(*pair, start) for pair in pairs)})
    for environment in ("dev", "staging", "prod"):
        await fleet.syncs(environment)


@pytest.mark.row("M12")
async def test_a_key_renamed_upstream_and_still_read_here_is_not_merged_until_the_reader_follows(fleet: Fleet) -> None:
    where = "          valueFrom:\n            configMapKeyRef: {name: web, key: checkout_timeout}\n"
    reader = f"        env:\n        - name: TIMEOUT\n{where}"
    staging = WEB.format("staging") + "deployment.yaml"
    await fleet.edit("only here", staging, "        envFrom:\n", f"{reader}        envFrom:\n")
    await fleet.edit("a better name", WEB.format("dev") + "config.yaml", "checkout_timeout: 10s", "timeout: 10s")
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open web -> staging"]
    pull = await fleet.the_pull()
    assert "✖ would break Deployment/web: ConfigMap/web has no key checkout_timeout" in pull.body
    assert "configMapKeyRef`: ConfigMap/web has no key checkout_timeout (clusters/staging/apps/web/deployment.yaml:1" in pull.body
    await fleet.approve(pull)
    assert "merge web -> staging" not in await fleet.settle()
    await fleet.edit("follow", staging, "key: checkout_timeout", "key: timeout")
    assert "merge web -> staging" in await fleet.settle(), "the approval is of this very content"
    assert "timeout: 10s" in await fleet.read(WEB.format("staging") + "config.yaml")


@pytest.mark.row("M12")
async def test_who_does_not_want_references_checked_says_so(fleet: Fleet) -> None:
    await fleet.edit("no check", "penstock.yaml", "  - name: staging\n", "  - name: staging\n    gates: {references: false}\n")
    service = WEB.format("dev") + "service.yaml"
    await fleet.edit("a port that is not there", service, "targetPort: http", "targetPort: https")
    await fleet.syncs("dev")
    await fleet.settle()
    await fleet.approve(await fleet.the_pull())
    assert (await fleet.settle())[0] == "merge web -> staging"


@pytest.mark.row("M21")
async def test_generated_names_do_not_hide_what_changes(fleet: Fleet) -> None:
    """A value of a generated ConfigMap travels, another stays: the hashes in names are no difference of their own."""
    await generates(fleet)
    assert await fleet.settle() == []
    await fleet.edit("try again", WEB.format("dev") + "tuning.properties", "retries=1", "retries=3")
    await fleet.syncs("dev")
    assert await fleet.settle() == ["open web -> staging"]
    body = (await fleet.the_pull()).body
    assert "**Same configuration as dev@" in body
    assert "| ConfigMap/tuning `data.tuning.properties` | `retries=3` | `retries=1` | **`retries=3`** | promoted |" in body
    assert "| ConfigMap/tuning `data.tuning.properties` | `workers=1` | `workers=8` | `workers=8` | kept" in body


@pytest.mark.row("M20")
async def test_a_patch_by_position_that_now_meets_another_container_is_seen_in_what_is_rendered(fleet: Fleet) -> None:
    """Staging patches container 0; upstream puts another one in front of it."""
    staging = KUSTOMIZATION.format("staging")
    patch = (
        "patches:\n- target: {kind: Deployment, name: web}\n  patch: |\n"
        "    - {op: add, path: /spec/template/spec/containers/0/imagePullPolicy, value: Always}\n"
    )
    await fleet.commit("more here", {staging: await fleet.read(staging) + patch})
    await fleet.syncs("staging")
    proxy = "      - name: proxy\n        image: proxy:1\n"
    await fleet.edit("alone", "penstock.yaml", "  - name: staging\n", "  - name: staging\n    gates: {approvals: 0}\n")
    await fleet.edit(
        "a proxy in front", WEB.format("dev") + "deployment.yaml", "      containers:\n", f"      containers:\n{proxy}"
    )
    await fleet.syncs("dev")
    await fleet.settle()
    pull = next(one for one in await fleet.pulls() if one.head.endswith("staging/web"))
    body = pull.body
    assert "NOT the configuration of dev@" in body
    assert "`spec.template.spec.containers[name=proxy].imagePullPolicy` | – | – | **`Always`** |" in body
    assert "merge web -> staging" not in await fleet.settle(), "no environment ever ran this: it is not merged by itself"
    await fleet.approve(pull)
    assert "merge web -> staging" in await fleet.settle(), "a person has seen it"
