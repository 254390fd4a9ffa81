"""Variables in a text, with the functions of bash that Flux knows."""

import time

import pytest

from penstock.render.substituting import SubstituteError, names_in, substitute

VARIABLES = {
    "name": "abcdEFGH28ij",
    "path": "/home/bozo/ideas/thoughts.for.today",
    "default": "foo1",
    "text": "abcABC123ABCabc",
    "file": "bash.string.txt",
    "full": "/path/to/file",
    "slashes": "foo/bar/baz",
    "dotted": "foo.bar",
    "empty": "",
}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("no variable", "no variable"),
        ("${name}", "abcdEFGH28ij"),
        ("${name}${default}", "abcdEFGH28ijfoo1"),
        ("$name stays", "$name stays"),
        ("a $ b", "a $ b"),
        ("$${name}", "${name}"),
        ("${#name}", "12"),
        ("${name^}", "AbcdEFGH28ij"),
        ("${name^^}", "ABCDEFGH28IJ"),
        ("${name,,}", "abcdefgh28ij"),
        ("${path:11}", "ideas/thoughts.for.today"),
        ("${path:11:5}", "ideas"),
        ("${gone=abc}", "abc"),
        ("${gone:=abc}", "abc"),
        ("${gone:-abc}", "abc"),
        ("${empty:-abc}", "abc"),
        ("${gone=a${default}-b}", "afoo1-b"),
        ("${gone=${name^^}}", "ABCDEFGH28IJ"),
        ("${text/abc/x}", "xABC123ABCabc"),
        ("${text//abc/x}", "xABC123ABCx"),
        ("${text/%abc/x}", "abcABC123ABCx"),
        ("${text/#abc/x}", "xABC123ABCabc"),
        ("${file#*.}", "string.txt"),
        ("${file%.*}", "bash.string"),
        ("${file%%.*}", "bash"),
        ("${full##*/}", "file"),
        ("${full#*/}", "path/to/file"),
        ("${slashes//\\//-}", "foo-bar-baz"),
        ("${dotted/./}", "foobar"),
        ("a $${x=${default}}", "a ${x=foo1}"),
    ],
)
def test_an_expression_has_its_value(text: str, result: str):
    assert substitute(text, VARIABLES) == result


def test_a_variable_that_is_not_set_is_an_error_or_nothing():
    with pytest.raises(SubstituteError) as caught:
        substitute("abc ${gone}", VARIABLES)
    assert caught.value.position == 4
    assert "gone" in caught.value.what
    assert substitute("abc ${gone}.", VARIABLES, strict=False) == "abc ."


@pytest.mark.parametrize("text", ["${", "${name", "${name:", "${}", "${na me}", "a ${name/"])
def test_what_cannot_be_read_is_an_error_with_its_position(text: str):
    with pytest.raises(SubstituteError) as caught:
        substitute(text, VARIABLES)
    assert caught.value.position <= len(text)


def test_the_names_of_a_text_can_be_listed_without_values():
    assert names_in("${a} $${b} ${c:-${d}} ${#e}") == {"a", "c", "d", "e"}


def test_nesting_and_repetition_take_no_time():
    start = time.process_time()
    with pytest.raises(SubstituteError):
        substitute("${a:-" * 5000 + "}" * 5000, {})
    substitute("${a//*a*a*a*a*a*b/x}", {"a": "a" * 2000})
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("${A:0:-1}", "Hello Worl"),
        ("${A:6:-1}", "Worl"),
        ("${A:8:-9}", ""),
        ("${U:0:2}", "é"),
        ("${P##*/}", "x.tar.gz"),
        ("${P%%.*}", "/usr/local/bin/x"),
        ("${A/#Hello/Bye}", "Bye World"),
        ("${X:-${Y:-z}}", "z"),
    ],
)
def test_functions_give_what_flux_envsubst_gives(expression: str, expected: str):
    values = {"A": "Hello World", "P": "/usr/local/bin/x.tar.gz", "U": "é日本"}
    assert substitute(expression, values) == expected


@pytest.mark.parametrize("expression", ["${X-d}", "${A-b}", "${A.B}"])
def test_a_name_ends_at_a_hyphen_and_a_default_without_a_colon_is_no_expression(expression: str):
    with pytest.raises(SubstituteError):
        substitute(expression, {"A": "a"}, strict=False)
