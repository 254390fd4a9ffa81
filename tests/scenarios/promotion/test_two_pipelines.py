"""Several pipelines in one repository: each moves along its own environments, with its own rules."""

from __future__ import annotations

from promotion_fleet import WEB, Fleet

SHOP = """\
---
apiVersion: penstock.dev/v1alpha1
kind: Pipeline
metadata:
  name: shop
spec:
  gates: {healthy: false, approvals: 0}
  environments:
  - {name: shop-test, path: shop/test}
  - {name: shop-live, path: shop/live, promoteFrom: [shop-test]}
"""
CART = "shop/{}/apps/cart/config.yaml"


def cart(colour: str, replicas: int) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: cart\ndata:\n  colour: {colour}\n  carts: '{replicas}'\n"


async def shop(fleet: Fleet) -> None:
    """A second pipeline of two environments in the repository; their differences are meant."""
    files: dict[str, str | None] = {"penstock.yaml": (await fleet.read("penstock.yaml")).rstrip("\n") + "\n" + SHOP}
    for name, carts in (("test", 1), ("live", 9)):
        files[f"shop/{name}/kustomization.yaml"] = "resources:\n- apps\n"
        files[f"shop/{name}/apps/kustomization.yaml"] = "resources:\n- cart\n"
        files[f"shop/{name}/apps/cart/kustomization.yaml"] = "resources:\n- config.yaml\n"
        files[CART.format(name)] = cart("blue", carts)
    await fleet.commit("a shop of its own\n\nPenstock-Adopt: shop-test -> shop-live", files)


async def test_two_pipelines_move_beside_each_other_each_by_its_own_rules(fleet: Fleet) -> None:
    await shop(fleet)
    assert await fleet.settle() == []
    await fleet.raise_timeout()
    await fleet.commit("red carts", {CART.format("test"): cart("red", 1)})
    await fleet.syncs("dev")
    steps = await fleet.settle()
    assert sorted(steps) == ["merge cart -> shop-live", "open cart -> shop-live", "open web -> staging"]
    assert await fleet.read(CART.format("live")) == cart("red", 9), "its own value stays"
    (pull,) = [one for one in await fleet.pulls() if one.state == "open"]
    assert pull.head == "penstock/promote/staging/web"
    assert "10s" in await fleet.read(WEB.format("staging") + "config.yaml"), "the other pipeline still waits for a person"


async def test_a_freeze_of_one_pipeline_does_not_hold_the_other(fleet: Fleet) -> None:
    await shop(fleet)
    head = "apiVersion: penstock.dev/v1alpha1\nkind: Freeze\n"
    await fleet.commit("stop", {".penstock/freeze.yaml": head + "spec: {environments: [shop-live], reason: sale, by: ann}\n"})
    await fleet.raise_timeout()
    await fleet.commit("red carts", {CART.format("test"): cart("red", 1)})
    await fleet.syncs("dev")
    await fleet.settle()
    for pull in await fleet.pulls():
        await fleet.approve(pull)
    steps = await fleet.settle()
    assert "merge web -> staging" in steps and "merge cart -> shop-live" not in steps
    assert await fleet.read(CART.format("live")) == cart("blue", 9)
