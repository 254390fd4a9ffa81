"""What Flux adds to a build: generated kustomizations, its own fields, substitution, common metadata."""

from collections.abc import Mapping
from typing import Any

import pytest

from penstock import render
from penstock.model.errors import InputError
from penstock.model.rendered import Rendered
from penstock.model.tree import MemoryTree

DEPLOYMENT = b"""\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  template:
    spec:
      containers:
      - name: main
        image: web:1
"""
CONFIG = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"


def flux(files: Mapping[str, bytes | str], spec: Mapping[str, Any], **more: Any) -> Rendered:
    return render.flux_build(MemoryTree(files), {"path": "./app", **spec}, name="apps", namespace="flux-system", **more)


def manifests(files: Mapping[str, bytes | str], spec: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {f"{item.id.kind}/{item.id.name}": item.manifest for item in flux(files, spec, **more).objects}


# -- plain folders -------------------------------------------------------------------------------------------------------


def test_a_plain_folder_is_every_manifest_below_it():
    files = {
        "app/b.yaml": DEPLOYMENT,
        "app/a/c.yml": CONFIG,
        "app/README.md": b"not a manifest",
        "app/values.json": b"{}",
        "other/x.yaml": CONFIG,
    }
    assert list(manifests(files, {})) == ["ConfigMap/settings", "Deployment/web"]


def test_a_folder_with_a_kustomization_in_a_plain_one_is_built_as_a_whole():
    files = {
        "app/sub/kustomization.yaml": b"resources: [a.yaml]\nnamePrefix: p-\n",
        "app/sub/a.yaml": CONFIG,
        "app/sub/ignored.yaml": DEPLOYMENT,
    }
    assert list(manifests(files, {})) == ["ConfigMap/p-settings"]


def test_a_folder_without_manifests_is_nothing_and_says_so():
    built = flux({"app/README.md": b"x"}, {})
    assert built.objects == ()
    assert [warning.code for warning in built.warnings] == ["NoManifests"]


def test_a_missing_path_is_an_error_and_not_an_empty_build():
    with pytest.raises(InputError) as caught:
        flux({"other/a.yaml": CONFIG}, {})
    assert caught.value.problems[0].code == "PathNotFound"


def test_objects_keep_the_order_of_the_files():
    files = {"app/kustomization.yaml": b"resources: [b.yaml, a.yaml]\n", "app/a.yaml": CONFIG, "app/b.yaml": DEPLOYMENT}
    assert list(manifests(files, {})) == ["Deployment/web", "ConfigMap/settings"]


# -- fields of the spec --------------------------------------------------------------------------------------------------

APP = {"app/kustomization.yaml": b"resources: [web.yaml]\n", "app/web.yaml": DEPLOYMENT}


def test_namespace_prefix_and_suffix_are_put_over_the_kustomization():
    found = manifests(APP, {"targetNamespace": "shop", "namePrefix": "p-", "nameSuffix": "-s"})
    assert found["Deployment/p-web-s"]["metadata"]["namespace"] == "shop"


def test_patches_come_after_those_of_the_kustomization():
    own = b"resources: [web.yaml]\npatches:\n- target: {kind: Deployment}\n"
    own += b"  patch: '- {op: replace, path: /spec/replicas, value: 2}'\n"
    text = "- {op: test, path: /spec/replicas, value: 2}\n- {op: replace, path: /spec/replicas, value: 3}"
    patch = {"target": {"kind": "Deployment"}, "patch": text}
    assert manifests({**APP, "app/kustomization.yaml": own}, {"patches": [patch]})["Deployment/web"]["spec"]["replicas"] == 3


@pytest.mark.parametrize(
    ("image", "result"),
    [
        ({"name": "web", "newTag": "3"}, "new:3"),
        ({"name": "web", "digest": "sha256:00"}, "new@sha256:00"),
        ({"name": "web", "newName": "other"}, "other:2"),
        ({"name": "elsewhere", "newTag": "3"}, "new:2"),
    ],
)
def test_images_win_field_by_field(image: dict[str, str], result: str):
    own = b"resources: [web.yaml]\nimages: [{name: web, newName: new, newTag: '2'}]\n"
    found = manifests({**APP, "app/kustomization.yaml": own}, {"images": [image]})["Deployment/web"]
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == result


def test_components_are_added_and_missing_ones_only_ignored_on_request():
    files = {
        **APP,
        "more/kustomization.yaml": b"apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [a.yaml]\n",
        "more/a.yaml": CONFIG,
    }
    assert list(manifests(files, {"components": ["../more"]})) == ["Deployment/web", "ConfigMap/settings"]
    spec = {"components": ["../more", "../gone"]}
    with pytest.raises(InputError):
        flux(files, spec)
    assert len(flux(files, {**spec, "ignoreMissingComponents": True}).objects) == 2


def test_common_metadata_wins_and_leaves_templates_alone():
    web = DEPLOYMENT.replace(b"  name: web\n", b"  name: web\n  labels: {team: old, own: x}\n")
    spec = {"commonMetadata": {"labels": {"team": "shop"}, "annotations": {"a": "b"}}}
    found = manifests({**APP, "app/web.yaml": web}, spec)["Deployment/web"]
    assert found["metadata"]["labels"] == {"team": "shop", "own": "x"}
    assert found["metadata"]["annotations"] == {"a": "b"}
    assert "metadata" not in found["spec"]["template"]


@pytest.mark.parametrize(
    "spec", [{"path": 1}, {"targetNamespace": ["x"]}, {"patches": "x"}, {"images": [{"nme": "x"}]}, {"components": [1]}]
)
def test_a_spec_of_the_wrong_shape_is_an_error_that_names_the_object(spec: dict[str, Any]):
    with pytest.raises(InputError) as caught:
        flux(APP, spec)
    where = caught.value.problems[0].where
    assert where is not None
    assert where.path == "Kustomization/flux-system/apps"


# -- substitution --------------------------------------------------------------------------------------------------------

TEXT = b"""\
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  a: "${a}"
  number: ${number:-1}
"""


def settings(spec: Mapping[str, Any], text: bytes = TEXT, **more: Any) -> Any:
    return manifests({"app/a.yaml": text}, spec, **more)["ConfigMap/settings"]["data"]


def test_values_are_put_in_and_read_again():
    assert settings({"postBuild": {"substitute": {"a": "x", "number": "2"}}}) == {"a": "x", "number": 2}


def test_without_post_build_nothing_is_touched():
    assert settings({})["a"] == "${a}"


def test_values_of_the_caller_replace_those_of_the_spec():
    assert settings({"postBuild": {"substitute": {"a": "x"}}}, variables={"a": "z"})["a"] == "z"


def test_a_variable_that_is_not_set_is_an_error_for_every_object_that_needs_it():
    files = {"app/a.yaml": TEXT, "app/b.yaml": TEXT.replace(b"settings", b"more")}
    with pytest.raises(InputError) as caught:
        flux(files, {"postBuild": {"substitute": {"other": "canary"}}})
    assert [problem.where.path for problem in caught.value.problems if problem.where] == ["app/a.yaml", "app/b.yaml"]
    assert {problem.code for problem in caught.value.problems} == {"Substitution"}
    assert "canary" not in str(caught.value)
    assert settings({"postBuild": {"substitute": {"other": "x"}}}, strict=False)["a"] is None


@pytest.mark.parametrize("where", ["labels", "annotations"])
def test_an_object_can_opt_out(where: str):
    text = TEXT.replace(
        b"  name: settings\n", f"  name: settings\n  {where}: {{kustomize.toolkit.fluxcd.io/substitute: disabled}}\n".encode()
    )
    assert settings({"postBuild": {"substitute": {"a": "x"}}}, text)["a"] == "${a}"


def test_line_breaks_are_taken_out_of_values():
    assert settings({"postBuild": {"substitute": {"a": "x\ny\n"}}})["a"] == "xy"


def test_a_value_that_breaks_the_yaml_is_an_error_without_the_value():
    with pytest.raises(InputError) as caught:
        settings({"postBuild": {"substitute": {"a": "x", "number": "[canary"}}})
    (problem,) = caught.value.problems
    assert problem.code == "Substitution"
    assert "canary" not in str(problem)


def test_a_value_cannot_bring_an_object_of_its_own():
    evil = "x\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: evil}\n"
    try:
        found = manifests({"app/a.yaml": TEXT}, {"postBuild": {"substitute": {"a": evil}}})
    except InputError:
        return
    assert list(found) == ["ConfigMap/settings"]


@pytest.mark.parametrize("name", ["1a", "a-b", "a b", ""])
def test_a_name_that_no_shell_would_take_is_an_error(name: str):
    with pytest.raises(InputError) as caught:
        settings({"postBuild": {"substitute": {name: "x"}}})
    assert "VariableName" in {problem.code for problem in caught.value.problems}


# -- what a build gives --------------------------------------------------------------------------------------------------


def test_the_digest_is_of_the_bytes_that_would_be_printed():
    import hashlib

    built = flux(APP, {"targetNamespace": "shop"})
    assert built.digest == "sha256:" + hashlib.sha256(render.emit(built)).hexdigest()


def test_every_file_that_was_read_or_looked_for_is_an_input():
    built = flux(APP, {})
    assert set(built.inputs) >= {"app/kustomization.yaml", "app/kustomization.yml", "app/Kustomization", "app/web.yaml"}
    assert built.inputs["app/kustomization.yml"] == ""


def test_a_new_file_in_a_plain_folder_is_noticed():
    cache = render.Cache()
    assert len(flux({"app/a.yaml": CONFIG}, {}, cache=cache).objects) == 1
    assert len(flux({"app/a.yaml": CONFIG, "app/b.yaml": DEPLOYMENT}, {}, cache=cache).objects) == 2
    assert (cache.hits, cache.misses) == (0, 2)
