"""The set of resources: its index says at any time what looking at every resource would say."""

import random

import pytest

from penstock.render.resources import Ids, Resource, ResourceSet, SetError
from penstock.render.schema import Schema

NAMES, KINDS, NAMESPACES = ("a", "b", "c"), ("ConfigMap", "Secret", "Namespace"), (None, "x", "default")


def resource(kind: str = "ConfigMap", name: str = "a", namespace: str | None = None) -> Resource:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return Resource({"apiVersion": "v1", "kind": kind, "metadata": metadata})


def some(chance: random.Random) -> Resource:
    return resource(chance.choice(KINDS), chance.choice(NAMES), chance.choice(NAMESPACES))


def check(resources: ResourceSet) -> None:
    """Compare every question with the slow answer."""
    ids = resources.ids
    for name in NAMES:
        slow = [item for item in resources if name in {identity.name for identity in ids.all(item)}]
        assert resources.named(name) == slow
    keys = {identity.key for item in resources for identity in ids.all(item)}
    for item in resources:
        for identity in ids.all(item):
            assert identity.key in keys
            slow = [other for other in resources if identity.key in {each.key for each in ids.all(other)}]
            assert sorted(map(id, resources.by_any_id(identity))) == sorted(map(id, slow))
    seen: dict[object, Resource] = {}
    pairs = []
    for item in resources:
        key = ids.current(item).key
        if key in seen:
            pairs.append((seen[key], item))
        seen.setdefault(key, item)
    assert resources.duplicates() == pairs


def change(resources: ResourceSet, chance: random.Random) -> None:
    items = resources.resources
    chosen = chance.choice(items)
    match chance.randrange(6):
        case 0:
            try:
                resources.append(new := some(chance))
            except SetError:
                return
            assert items[-1] is new
        case 1:
            resources.ids.store_previous(chosen)
            chosen.set_name(chance.choice(NAMES))
            resources.changed((chosen,))
        case 2:
            chosen.metadata()["namespace"] = chance.choice(("x", "y"))
            resources.changed((chosen,))
        case 3:
            new = some(chance)
            resources.replace(chosen, new)
        case 4 if len(items) > 3:
            chosen.dropped = True
            resources.changed((chosen,))
            assert chosen not in resources.resources
        case _:
            resources.changed()


@pytest.mark.parametrize("seed", range(40))
def test_the_index_says_what_a_look_at_everything_says(seed: int):
    chance = random.Random(seed)
    resources = ResourceSet(Ids(Schema()), [resource(kind, name) for kind in KINDS for name in NAMES])
    for _ in range(60):
        change(resources, chance)
        if chance.random() < 0.5:
            check(resources)
    check(resources)


def test_an_identity_can_be_there_only_once():
    resources = ResourceSet(Ids(Schema()), [resource()])
    with pytest.raises(SetError) as caught:
        resources.append(resource(namespace="default"))
    assert caught.value.what == "may not add resource with an already registered id: ConfigMap.v1.[noGrp]/a.default"


def test_a_cluster_scoped_kind_has_no_namespace_in_its_identity():
    ids = Ids(Schema())
    assert ids.current(resource("Namespace", "a", "x")).key == ids.current(resource("Namespace", "a")).key
    assert ids.current(resource("ConfigMap", "a", "x")).key != ids.current(resource("ConfigMap", "a")).key


def test_a_schema_that_changes_scopes_changes_identities():
    schema = Schema()
    ids = Ids(schema)
    thing = Resource({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a", "namespace": "x"}})
    assert ids.current(thing).effective_namespace == "x"
    operation = {"get": {"x-kubernetes-group-version-kind": {"group": "example.com", "version": "v1", "kind": "Thing"}}}
    schema.use_document({"paths": {"/apis/example.com/v1/things/{name}": operation}})
    assert ids.current(thing).effective_namespace != "x"
