"""A replacement inside a text that holds JSON or YAML changes the value and keeps the rest."""

import pytest

from penstock import render
from penstock.model.errors import InputError
from penstock.model.tree import MemoryTree
from penstock.yamldoc import reading

YAML = """\
# top
server:
  host: old  # why
  port: 80

  list:
    - a
    - 'b'
    - "c"
flow: {a: b, c: [1, 2]}
text: |
  one

  two
"""
JSON = '{"port": 80, "host": "h", "list": [1, 2]}'


def replaced(text: str, path: str, value: str) -> str:
    """The text in a ConfigMap after one replacement."""
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    manifest = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata:\n  t: |\n{lines}"
    kustomization = (
        "resources: [a.yaml]\nreplacements:\n"
        f"- sourceValue: {value!r}\n  targets:\n  - select: {{kind: ConfigMap}}\n    fieldPaths: ['data.t.{path}']\n"
    )
    built = render.build(MemoryTree({"kustomization.yaml": kustomization.encode(), "a.yaml": manifest.encode()}), "")
    found = built.objects[0].manifest["data"]["t"]
    assert isinstance(found, str)
    return found


def laid_out(*, host: str = "old", port: str = "80", items: tuple[str, str, str] = ("a", "'b'", '"c"'), flow: str = "b") -> str:
    one, two, three = items
    return (
        f"# top\nserver:\n  host: {host} # why\n  port: {port}\n  list:\n  - {one}\n  - {two}\n  - {three}\n"
        f"flow: {{a: {flow}, c: [1, 2]}}\ntext: |\n  one\n\n  two"
    )


@pytest.mark.parametrize(
    ("path", "value", "result"),
    [
        ("server.host", "new", laid_out(host="new")),
        ("server.host", "true", laid_out(host='"true"')),
        ("server.host", "a: b", laid_out(host="'a: b'")),
        ("server.port", "81", laid_out(port="81")),
        ("server.port", "x", laid_out(port="!!int x")),
        ("server.list.0", "x", laid_out(items=("x", "'b'", '"c"'))),
        ("server.list.1", "it's", laid_out(items=("a", "'it''s'", '"c"'))),
        ("server.list.2", 'q"', laid_out(items=("a", "'b'", '"q\\""'))),
        ("flow.a", "h:1", laid_out(flow="'h:1'")),
    ],
)
def test_yaml_keeps_comments_order_and_quotes(path: str, value: str, result: str):
    assert replaced(YAML, path, value) == result


def test_every_place_of_a_star_is_changed():
    assert replaced(YAML, "server.list.*", "x") == laid_out(items=("x", "'x'", '"x"'))


def test_json_is_written_as_json():
    assert replaced(JSON, "port", "81") == '{"host":"h","list":[1,2],"port":81}'
    assert replaced(JSON, "host", "true") == '{"host":"true","list":[1,2],"port":80}'
    assert replaced('{\n  "a": 1\n}', "a", "2") == '{\n  "a": 2\n}'


@pytest.mark.parametrize(("path", "value"), [("port", "x"), ("list.0", "x"), ("nothing", "x")])
def test_what_cannot_be_set_in_json_is_an_error(path: str, value: str):
    with pytest.raises(InputError) as caught:
        replaced(JSON, path, value)
    where = caught.value.problems[0].where
    assert where is not None
    assert (where.path, where.line) == ("kustomization.yaml", 2)


def test_the_changed_yaml_means_what_was_meant():
    (document,) = reading.load_all(replaced(YAML, "server.host", "- # : x").encode(), "t")
    assert document.value["server"]["host"] == "- # : x"
