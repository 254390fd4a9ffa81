"""Where an object, a field or a file's content comes from, over all environments of a repository."""

import pytest

from penstock.app import trace
from penstock.model.errors import InputError
from penstock.model.tree import MemoryTree

WEB = b"apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  ports:\n  - port: 80\n"


def repository() -> MemoryTree:
    return MemoryTree(
        {
            "base/kustomization.yaml": b"resources: [web.yaml]\n",
            "base/web.yaml": WEB,
            "clusters/dev/kustomization.yaml": b"resources: [../../base]\n",
            "clusters/prod/kustomization.yaml": b"resources: [../../base]\nnamespace: shop\npatches:\n- path: port.yaml\n",
            "clusters/prod/port.yaml": WEB.replace(b"80", b"81"),
        }
    )


def test_an_object_is_found_in_every_environment():
    found = trace.objects(repository(), "Service/web")
    assert [(one.where, str(one.place)) for one in found] == [("dev", "base/web.yaml:1"), ("prod", "base/web.yaml:1")]


def test_a_namespace_narrows_the_search():
    assert [one.where for one in trace.objects(repository(), "service/shop/web")] == ["prod"]


def test_a_field_names_the_line_that_decides_it_in_each_environment():
    found = trace.objects(repository(), "web", ("spec", "ports", 0, "port"))
    assert [str(one.place) for one in found] == ["base/web.yaml:7:5", "clusters/prod/kustomization.yaml:4:3"]


def test_a_file_names_what_it_writes_and_what_it_changes():
    assert [one.where for one in trace.file(repository(), "base/web.yaml")] == ["dev", "prod"]
    (found,) = trace.file(repository(), "clusters/prod/port.yaml")
    assert [change.what for change in found.changes] == ["patches port.yaml"]


def test_a_folder_can_be_traced_without_environments():
    assert [one.where for one in trace.objects(repository(), "web", where="clusters/prod")] == ["clusters/prod"]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda tree: trace.objects(tree, "Service/wbe"), "did you mean Service/web?"),
        (lambda tree: trace.objects(tree, "web", ("spec", "nothing")), "no object called 'web' has the field spec.nothing"),
        (lambda tree: trace.file(tree, "base/kustomization.yaml"), "nothing that is applied comes from"),
        (lambda tree: trace.objects(tree, "web", where="test"), "environments here: dev, prod"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(call, says: str):
    with pytest.raises(InputError) as caught:
        call(repository())
    assert says in str(caught.value)
