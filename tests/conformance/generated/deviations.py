"""Differences that are meant: where refusing is safer than kustomize's answer. Each has its own test and its opt-out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
)


def explain(case: Case, judgement: Judgement) -> Deviation | None:
    """The deviation that explains a difference, None when nothing does."""
    return next((known for known in KNOWN if known.fits(case, judgement)), None)
