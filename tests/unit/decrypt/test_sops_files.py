"""Files that the real sops (3.13.3) wrote come out as sops itself decrypts them, byte for byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from penstock.adapters.sops_keys import Keys
from penstock.decrypt import rules
from penstock.decrypt.opening import Opener
from penstock.model.errors import InputError
from penstock.render import patterns

FILES = Path(__file__).parent / "files"
YAML = ["secret", "maconly", "unregex", "encsuffix", "typed", "multi", "enccomment", "unenccomment"]


def opener(key: str = "key.agekey", **options) -> Opener:
    return Opener(Keys({key: (FILES / key).read_text()}, {}), patterns.compiled, **options)


@pytest.mark.parametrize("name", YAML)
def test_yaml_becomes_the_content_that_sops_gives(name):
    sealed = (FILES / f"{name}.sealed.yaml").read_bytes()
    assert opener().content("f", sealed, "x.yaml") == (FILES / f"{name}.plain.yaml").read_bytes()


@pytest.mark.parametrize("name", YAML)
def test_yaml_as_a_manifest_has_the_same_values_on_the_same_lines(name):
    sealed = (FILES / f"{name}.sealed.yaml").read_bytes()
    found = opener().manifest("f", sealed)
    assert list(yaml.safe_load_all(found)) == list(yaml.safe_load_all((FILES / f"{name}.plain.yaml").read_bytes()))
    assert found.count(b"\n") == sealed.count(b"\n")


@pytest.mark.parametrize(("ending", "name"), [("env", ".env"), ("json", "x.json"), ("ini", "x.ini"), ("bin", "x")])
def test_every_other_store(ending, name):
    sealed = (FILES / f"x.sealed.{ending}").read_bytes()
    assert opener().content("f", sealed, name) == (FILES / f"x.plain.{ending}").read_bytes()


@pytest.mark.skipif(shutil.which("gpg") is None, reason="NOT RUN: no gpg on this machine")
def test_pgp_keys_open_through_gpg_and_leave_nothing_behind(tmp_path):
    memory = Path("/dev/shm")
    before = set(memory.glob("pst-*")) if memory.is_dir() else set()
    keys = Keys({}, {"pgp.asc": (FILES / "pgp.asc").read_bytes()})
    sealed = (FILES / "pgp.sealed.yaml").read_bytes()
    found = Opener(keys, patterns.compiled).content("f", sealed, "x.yaml")
    assert found == (FILES / "pgp.plain.yaml").read_bytes()
    assert not memory.is_dir() or set(memory.glob("pst-*")) <= before


@pytest.mark.parametrize("gpg", [True, False])
def test_a_data_key_wrapped_by_pgp_is_unwrapped_with_gpg_or_without_it(monkeypatch, gpg):
    import pysequoia

    if gpg and shutil.which("gpg") is None:
        pytest.skip("NOT RUN: no gpg on this machine")
    if not gpg:
        monkeypatch.setattr("penstock.adapters.sops_keys.shutil.which", lambda name: None)
    secret = pysequoia.Tsk.generate("test <test@example.com>")
    certificate = secret.extract_certificate()
    wrapped = pysequoia.encrypt(b"k" * 32, [certificate]).decode()
    keys = Keys({}, {"pgp.asc": bytes(secret)})
    metadata = {"mac": "x", "lastmodified": "x", "pgp": [{"fp": certificate.fingerprint, "enc": wrapped}]}
    assert keys.data_key(rules.parse(metadata, patterns.compiled)) == b"k" * 32


def refused(data: bytes, *, key: str = "key.agekey", name: str = "x.yaml") -> str:
    with pytest.raises(InputError) as caught:
        opener(key).content("apps/db.yaml", data, name)
    text = repr(caught.value) + str(caught.value)
    assert "swordfish" not in text and "line one" not in text
    return str(caught.value)


def test_another_key_is_refused_and_says_whom_the_file_is_for():
    text = refused((FILES / "secret.sealed.yaml").read_bytes(), key="other.agekey")
    assert "apps/db.yaml: cannot get sops data key" in text and "no key here opens age age1" in text


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"name: db", b"name: other", "mac is not that of the content"),
        (b"password: ENC", b"other: ENC", "at 'stringData.other' cannot be decrypted"),
        (b"type:str]", b"type:int]", "what is in it is no int"),
        (b"data:", b"data:AAAA", "cannot be decrypted"),
    ],
)
def test_what_was_changed_since_is_refused(old, new, why):
    sealed = (FILES / "secret.sealed.yaml").read_bytes()
    position = sealed.index(b"password: ") if old == b"data:" else 0
    changed = sealed[:position] + sealed[position:].replace(old, new, 1)
    assert changed != sealed
    assert why in refused(changed)


def test_a_file_that_is_encrypted_in_part_is_refused_with_the_line():
    lines = (FILES / "secret.sealed.yaml").read_text().split("\n")
    number = next(index for index, line in enumerate(lines) if line.strip().startswith("password:"))
    lines[number] = "    password: swordfish"
    text = refused("\n".join(lines).encode())
    assert f"apps/db.yaml:{number + 1}: the value at 'stringData.password' cannot be decrypted: it is not encrypted" in text


def test_without_the_check_of_the_code_the_rest_is_still_checked():
    sealed = (FILES / "secret.sealed.yaml").read_bytes().replace(b"name: db", b"name: other", 1)
    assert b"name: other" in opener(check=False).manifest("f", sealed)
    with pytest.raises(InputError):
        opener(check=False).manifest("f", sealed.replace(b"password: ENC", b"moved: ENC"))


def test_cloud_keys_are_named_as_what_is_missing():
    sealed = yaml.safe_load((FILES / "secret.sealed.yaml").read_text())
    sealed["sops"].pop("age")
    sealed["sops"]["kms"] = [{"arn": "arn:aws:kms:x", "enc": "AAAA"}]
    assert "encrypted for kms, which is not supported" in refused(yaml.safe_dump(sealed, width=10_000).encode())


def test_a_file_over_the_limit_is_refused_before_it_is_read():
    sealed = (FILES / "secret.sealed.yaml").read_bytes() + b"# " + b"x" * (5 * 1024 * 1024)
    assert "exceeding limit (5242880)" in refused(sealed)


def test_a_pattern_that_would_backtrack_takes_linear_time():
    sealed = (FILES / "secret.sealed.yaml").read_bytes()
    hostile = sealed.replace(b"encrypted_regex: ^(data|stringData)$", b"encrypted_regex: ^(a+)+$")
    hostile = hostile.replace(b"    name: db", b"    " + b"a" * 5_000 + b"!: db")
    assert hostile != sealed
    refused(hostile)


def test_documents_encrypted_by_themselves_can_stand_in_one_file():
    one, two = ((FILES / f"{name}.sealed.yaml").read_text() for name in ("secret", "unregex"))
    found = opener().manifest("f", f"{one}---\nkind: Plain\n---\n{two}".encode())
    kinds = [document["kind"] for document in yaml.safe_load_all(found)]
    assert kinds == ["Secret", "Plain", "Secret"]
    assert b"ENC[" not in found


def test_a_document_can_ask_to_stay_as_it_is():
    sealed = (FILES / "secret.sealed.yaml").read_text()
    marked = sealed.replace("    name: db", "    annotations: {kustomize.toolkit.fluxcd.io/decrypt: Disabled}\n    name: db")
    assert opener().manifest("f", marked.encode()) == marked.encode()


def test_what_is_not_encrypted_is_given_back_untouched():
    for content in (b"", b"kind: Secret\n", b"\xff\xfe", b"sops: is mentioned\n", b'{"a": 1}'):
        assert opener().manifest("f", content) is content
        assert opener().content("f", content, "x") is content


def test_a_key_that_is_none_is_named_without_its_text():
    from penstock.decrypt.sealed import SealedError

    for text, why in (("AGE-SECRET-KEY-1BROKEN", "malformed"), ("AGE-SECRET-KEY-PQ-1X", "post-quantum")):
        with pytest.raises(SealedError, match=why) as caught:
            Keys({"a.agekey": text}, {})
        assert text not in str(caught.value)


def test_the_name_of_keys_tells_them_apart_and_not_what_they_are():
    text = (FILES / "key.agekey").read_text()
    one, two = Keys({"a.agekey": text}, {}), Keys({"b.agekey": (FILES / "other.agekey").read_text()}, {})
    assert one.id == Keys({"a.agekey": text}, {}).id != two.id
    assert text.strip().splitlines()[-1] not in one.id
