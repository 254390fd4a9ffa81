"""The words: complete, and inert whatever people wrote."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as some

from penstock.model.values import CommitId, EnvName
from penstock.promote import change, gates, text, verdict

HOSTILE = [
    "<script>alert(1)</script>",
    "`code` and ``` fences",
    "| a | table |",
    "@everyone see #1 https://evil.example/x",
    "two\nlines\r\nPenstock-Promotion: web dev@1111111 -> prod",
    "\x1b[31mred\x1b]8;;http://evil.example\x07",
    "right \u202eto left",
    "--> <!-- penstock {} -->",
]

CHANGE = change.Change(
    unit="web",
    source=EnvName("dev"),
    target=EnvName("staging"),
    commit=CommitId("4be1c02" + "a" * 33),
    files={"clusters/staging/apps/web/config.yaml": b"timeout: 20s\n"},
    content="sha256:content",
    digest="sha256:digest",
)


def proposal(value: str = "20s", subject: str = "raise checkout timeout", **more: object) -> text.Proposal:
    row = verdict.Row(object="ConfigMap/web", field="data.timeout", source=value, before="10s", after=value, state="promoted")
    return text.Proposal(
        change=CHANGE,
        commits=(text.Travelling(commit="4be1c02aaa", subject=subject, author="web-dev"),),
        outcome=verdict.Outcome(rows=(row,), same=True),
        verdicts=(
            gates.Verdict(gate="healthy", state="passed", text="healthy in dev"),
            gates.Verdict(gate="approvals", state="waiting", text="0 of 1 approval", who="person"),
        ),
        before={"clusters/staging/apps/web/config.yaml": b"timeout: 10s\n"},
        **more,  # type: ignore[arg-type]
    )


def test_the_text_tells_verdict_table_gates_and_diff() -> None:
    shown = text.body(proposal())
    assert shown.startswith("**Same configuration as dev@4be1c02.**")
    assert "| ConfigMap/web `data.timeout` | `20s` | `10s` | **`20s`** | promoted |" in shown
    assert "**Why it may go:** healthy in dev." in shown
    assert "**Still needed:** 0 of 1 approval." in shown
    assert "-timeout: 10s\n+timeout: 20s" in shown


def test_hostile_values_and_subjects_stay_inside_their_code_spans() -> None:
    for hostile in HOSTILE:
        shown = text.body(proposal(value=hostile, subject=hostile))
        outside = re.sub(r"`[^`\n]*`", "", shown.rpartition("<!-- penstock")[0])
        assert "<script>" not in outside and "evil.example" not in outside and "@everyone" not in outside
        assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", shown)
        table = [line for line in shown.splitlines() if line.startswith("| ConfigMap/web")]
        assert [len(re.findall(r"(?<!\\)\|", line)) for line in table] == [6]
        assert text.read_marker(shown)["unit"] == "web"


def test_a_hostile_subject_writes_no_trailer_into_the_commit_message() -> None:
    from penstock.promote import records

    record = records.Promotion(unit="web", source=EnvName("dev"), commit=CommitId("1" * 40), target=EnvName("staging"))
    for hostile in HOSTILE:
        commits = (text.Travelling(commit="4be1c02aaa", subject=hostile, author=hostile),)
        assert len(records.parse(text.message(CHANGE, commits, record)).promotions) == 1


def test_secrets_and_encrypted_files_are_named_and_not_shown() -> None:
    for content in (b"kind: Secret\ndata: {a: c3dvcmRmaXNo}\n", b"a: ENC[AES256_GCM,data:c3dvcmRmaXNo]\n", b"c3dvcmRmaXNo\0"):
        secret = replace(CHANGE, files={"clusters/staging/apps/web/config.yaml": content})
        shown = text.body(replace(proposal(), change=secret))
        assert "holds secrets, not shown" in shown and "c3dvcmRmaXNo" not in shown


def test_the_literals_of_a_generated_secret_are_not_shown() -> None:
    assert text._hides(b"resources: []\nsecretGenerator:\n- name: login\n  literals: [password=swordfish]\n")
    assert not text._hides(b"configMapGenerator:\n- name: settings\n")


def test_the_state_of_a_text_changes_with_what_it_tells_and_not_with_the_time() -> None:
    def soaking(minutes: int) -> text.Proposal:
        one = gates.Verdict(gate="soak", state="waiting", text=f"soak {minutes} min of 30 min", who="time")
        return replace(proposal(), verdicts=(one,))

    assert text.state_of(soaking(1)) == text.state_of(soaking(2))
    assert text.state_of(proposal()) != text.state_of(replace(proposal(), verdicts=()))
    assert text.read_marker(text.body(proposal()))["state"] == text.state_of(proposal())


@given(some.text())
def test_any_text_becomes_one_code_span(value: str) -> None:
    shown = text.code(value)
    assert shown.startswith("`") and shown.endswith("`")
    assert shown.count("`") == 2 and "\n" not in shown


@given(some.text())
def test_a_marker_reads_as_none_or_as_text(value: str) -> None:
    assert isinstance(text.read_marker(f"<!-- penstock {value} -->"), dict)
