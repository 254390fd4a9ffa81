"""Every changed field names the step and the line that changed it."""

from penstock.model.errors import Place
from penstock.model.fieldpath import Keyed, parse, show
from penstock.model.tree import MemoryTree
from penstock.render import tracing

FILES: dict[str, bytes | str] = {
    "base/kustomization.yaml": b"resources: [web.yaml]\n",
    "base/web.yaml": b"""\
# the web server
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
        envFrom:
        - configMapRef: {name: settings}
""",
    "prod/kustomization.yaml": b"""\
resources: [../base]
namePrefix: p-
images:
- name: web
  newTag: "2"
patches:
- path: more.yaml
configMapGenerator:
- name: settings
  literals: [a=b]
""",
    "prod/more.yaml": b"""\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 3
""",
}
IMAGE = ("spec", "template", "spec", "containers", Keyed((("name", "main"),)), "image")


def web() -> tracing.Traced:
    return next(one for one in tracing.build(MemoryTree(FILES), "prod") if one.object.id.kind == "Deployment")


def test_each_step_names_its_line_and_the_fields_it_changed():
    said = {change.what: (str(change.place), [show(path) for path in change.fields]) for change in web().changes}
    assert said == {
        "patches more.yaml": ("prod/kustomization.yaml:7:3", ["spec.replicas"]),
        "namePrefix": ("prod/kustomization.yaml:2:1", ["metadata.name"]),
        "images": ("prod/kustomization.yaml:3:1", [show(IMAGE)]),
        "references to renamed objects": (
            "None",
            ["spec.template.spec.containers[name=main].envFrom[0].configMapRef.name"],
        ),
    }


def test_a_field_leads_to_the_last_line_that_decided_it():
    assert web().source_of(IMAGE) == Place(path="prod/kustomization.yaml", line=3, column=1)
    assert web().source_of(("spec", "replicas")) == Place(path="prod/kustomization.yaml", line=7, column=3)


def test_a_field_that_no_step_changed_leads_to_its_own_file():
    name = parse("spec.template.spec.containers[0].name")
    assert web().source_of(name) == Place(path="base/web.yaml", line=11, column=9)


def test_an_object_remembers_the_name_of_its_file():
    assert (web().name, web().object.id.name) == ("web", "p-web")


def test_a_flux_build_shows_what_flux_adds():
    spec = {
        "path": "base",
        "postBuild": {"substitute": {"x": "y"}},
        "commonMetadata": {"labels": {"team": "shop"}},
        "targetNamespace": "shop",
    }
    (found,) = tracing.flux_build(MemoryTree(FILES), spec, name="apps", namespace="flux-system")
    assert [change.what for change in found.changes] == ["namespace", "commonMetadata"]
    assert found.changes[-1].fields == (("metadata", "labels"),)


def test_differences_are_the_topmost_fields_that_differ():
    old = {"a": 1, "b": {"c": [1, 2]}, "items": [{"name": "x", "v": 1}, {"name": "y"}]}
    new = {"a": True, "b": {"c": [1]}, "d": {"e": 1}, "items": [{"name": "y"}, {"name": "x", "v": 2}, {"name": "z"}]}
    assert [show(path) for path in tracing.differences(old, new)] == ["a", "b.c[1]", "items[name=x].v", "items[name=z]", "d"]
