"""Differences that are meant: where refusing is safer than kustomize's answer. Each has its own test and its opt-out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from .case import Case
from .judging import Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One of them: its name, why, and how to see it."""

    name: str
    why: str
    fits: Callable[[Case, Judgement], bool]


def _refused_with(*codes: str) -> Callable[[Case, Judgement], bool]:
    return lambda case, judgement: judgement.verdict == "only we refuse" and judgement.ours.code in codes


def _stumbles_over_itself(case: Case, judgement: Judgement) -> bool:
    """kustomize prints objects to YAML and reads that again between steps; some texts and comments do not survive it."""
    return judgement.verdict == "only kustomize refuses" and any(
        words in judgement.theirs.error
        for words in (
            "found a tab character where an indentation space is expected",
            "could not find expected ':'",
            "did not find expected node content",
            "did not find expected ',' or",
            "control characters are not allowed",
            "yaml: invalid map key: map[",
            "yaml: invalid map key: []interface",
            "json: unsupported type: map[interface {}]interface {}",
        )
    )


def _below_null(case: Case, judgement: Judgement) -> bool:
    """A replacement that would have to create a field below `x: null`: kustomize loses it without a word."""
    return judgement.verdict == "only we refuse" and "unable to find or create field" in judgement.ours.error


def _only_a_hash(case: Case, judgement: Judgement) -> bool:
    """A generated object that a patch gave another kind: kustomize hashes its own parser's state, line numbers included."""
    changes = any(isinstance(content, bytes) and b"allowKindChange" in content for content in case.files.values())
    if judgement.verdict != "different bytes" or not changes:
        return False
    return _HASH.sub(b"-HASH", judgement.theirs.printed) == _HASH.sub(b"-HASH", judgement.ours.printed)


_HASH = re.compile(rb"-[2456789bcdfghkmt]{10}\b")


def _only_claim_labels(case: Case, judgement: Judgement) -> bool:
    """kustomize 5.8.1 labels volumeClaimTemplates along with templates; later ones ask for includeVolumeClaimTemplates."""
    if judgement.verdict != "different bytes" or b"volumeClaimTemplates" not in judgement.theirs.printed:
        return False
    return _without_claim_labels(judgement.theirs.printed) == _without_claim_labels(judgement.ours.printed)


def _without_claim_labels(printed: bytes) -> list[Any]:
    found = list(yaml.load_all(printed, Loader=yaml.CBaseLoader))
    for value in found:
        spec = value.get("spec") if isinstance(value, dict) else None
        for claim in (spec.get("volumeClaimTemplates") or []) if isinstance(spec, dict) else []:
            if isinstance(claim, dict) and isinstance(claim.get("metadata"), dict):
                claim["metadata"].pop("labels", None)
                claim["metadata"] = claim["metadata"] or "null"
    return found


KNOWN: tuple[Deviation, ...] = (
    Deviation(
        name="duplicate key in a kustomization file",
        why="kustomize takes the last of two equal keys without a word, and with pruning on what was lost is deleted",
        fits=_refused_with("YamlDuplicateKey"),
    ),
    Deviation(
        name="content after the end of a document",
        why="kustomize drops it without a word; it is mostly a truncated or a badly merged file",
        fits=_refused_with("TrailingContent"),
    ),
    Deviation(
        name="unknown tag",
        why="kustomize ignores it; nobody writes a tag without wanting something done with it",
        fits=_refused_with("YamlUnknownTag"),
    ),
    Deviation(
        name="a key that is not a string, in what a patch deletes",
        why="key types are checked when a file is read; kustomize checks them when it prints",
        fits=_refused_with("YamlKeyType"),
    ),
    Deviation(
        name="a generated key that no cluster takes",
        why="an error of the build names the line, an error of the apply names nothing",
        fits=lambda case, judgement: judgement.verdict == "only we refuse" and "cannot be a key of" in judgement.ours.error,
    ),
    Deviation(
        name="kustomize cannot read what it printed itself",
        why="a valid input that kustomize loses on its way through YAML is built",
        fits=_stumbles_over_itself,
    ),
    Deviation(
        name="a field that a replacement creates below null",
        why="kustomize drops the replacement without a word, and what it was for is missing in the cluster",
        fits=_below_null,
    ),
    Deviation(
        name="the hash of a generated object that a patch gives another kind",
        why="kustomize hashes line numbers and comments of its own parser",
        fits=_only_a_hash,
    ),
    Deviation(
        name="labels of volumeClaimTemplates",
        why="changed upstream after 5.8.1: they are immutable, so the newer behaviour is the one that can be applied",
        fits=_only_claim_labels,
    ),
)


def explain(case: Case, judgement: Judgement) -> Deviation | None:
    """The deviation that explains a difference, None when nothing does."""
    return next((known for known in KNOWN if known.fits(case, judgement)), None)
