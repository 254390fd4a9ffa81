"""An app's line in a kustomization, taken out without touching the rest."""

from __future__ import annotations

import pytest

from penstock.promote import listing


def without(text: str, *directories: str) -> str:
    return listing.parse("clusters/dev/apps/kustomization.yaml", text.encode()).without(set(directories)).decode()


WEB = "clusters/dev/apps/web"


@pytest.mark.parametrize("entry", ["web", "./web", "web/", '"web"', "'web'  # the shop", "../apps/web"])
def test_an_app_is_listed_however_its_line_is_written(entry: str) -> None:
    text = f"resources:\n- api\n- {entry}\n# end\n"
    assert listing.parse("clusters/dev/apps/kustomization.yaml", text.encode()).lists(WEB)
    assert without(text, WEB) == "resources:\n- api\n# end\n"


def test_an_item_of_a_flow_list_goes_with_its_comma() -> None:
    assert without("resources: [api, web, cron]\n", WEB) == "resources: [api, cron]\n"
    assert without("resources: [api, web]\n", WEB) == "resources: [api]\n"
    assert without("resources: [web]\n", WEB) == "resources: []\n"


def test_the_last_item_leaves_an_empty_list() -> None:
    assert without("namespace: shop\nresources:\n- web\nlabels: []\n", WEB) == "namespace: shop\nresources: []\nlabels: []\n"


def test_line_ends_and_a_final_line_without_one_stay() -> None:
    assert without("resources:\r\n- web\r\n- api", WEB) == "resources:\r\n- api"


def test_the_environments_kustomization_may_list_apps_too() -> None:
    found = listing.parse("clusters/dev/kustomization.yaml", b"resources:\n- apps/web\n- flux-system\n")
    assert found.lists(WEB)
    assert not found.lists("clusters/dev/apps/api")


def test_what_is_not_yaml_lists_nothing() -> None:
    assert listing.parse("kustomization.yaml", b"resources: [").entries == ()
    assert listing.parse("kustomization.yaml", b"\xff").entries == ()
