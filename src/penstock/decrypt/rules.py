"""SOPS' metadata: who can decrypt a file, which of its values are encrypted, and its authentication code.

In: the `sops` mapping of a file, as any store gives it. Out: a `Rules` value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Pattern(Protocol):
    """A compiled regular expression."""

    def search(self, text: str) -> bool:
        """Whether it fits anywhere in the text."""


Compile = Callable[[str], Pattern]
Path = tuple[str, ...]
Comments = tuple[tuple[str, ...], ...]
"""The comments that stand before a value, for each level from the root down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a file says about its encryption."""

    mac: str
    modified: str
    only_encrypted: bool
    groups: tuple[Mapping[str, Sequence[Mapping[str, Any]]], ...]
    """Key groups: kind ('age', 'pgp', 'kms', ...) to its entries, each with the wrapped data key under 'enc'."""
    unencrypted_suffix: str = ""
    encrypted_suffix: str = ""
    unencrypted_regex: Pattern | None = None
    encrypted_regex: Pattern | None = None
    unencrypted_comment_regex: Pattern | None = None
    encrypted_comment_regex: Pattern | None = None

    def encrypted(self, path: Path, comments: Comments) -> bool:
        """Whether the value at a path is to be encrypted."""
        found = True
        if self.unencrypted_suffix:
            found = not any(step.endswith(self.unencrypted_suffix) for step in path)
        if self.encrypted_suffix:
            found = any(step.endswith(self.encrypted_suffix) for step in path)
        if self.unencrypted_regex is not None and _any(self.unencrypted_regex, path):
            found = False
        if self.encrypted_regex is not None:
            found = _any(self.encrypted_regex, path)
        if self.unencrypted_comment_regex is not None and _any_comment(self.unencrypted_comment_regex, comments):
            found = False
        if self.encrypted_comment_regex is not None:
            found = _any_comment(self.encrypted_comment_regex, comments)
        return found


KINDS = ("pgp", "kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "age")


_RULES = (
    *("unencrypted_suffix", "encrypted_suffix", "unencrypted_regex", "encrypted_regex"),
    *("unencrypted_comment_regex", "encrypted_comment_regex"),
)


def parse(found: Mapping[str, Any], compile: Compile) -> Rules:  # noqa: A002 - what it does
    """Read the metadata. Raises ValueError, also for a pattern that is none."""
    if not found.get("mac") or not found.get("lastmodified"):
        raise ValueError("the sops metadata has no mac or no lastmodified")
    groups = found.get("key_groups")
    whole = [each for each in groups if isinstance(each, Mapping)] if isinstance(groups, list) and groups else [found]

    def text(name: str) -> str:
        return str(found.get(name) or "")

    def pattern(name: str) -> Pattern | None:
        return compile(text(name)) if text(name) else None

    given = [name for name in _RULES if text(name)]
    if len(given) > 1:
        raise ValueError(f"the sops metadata has more than one rule: {', '.join(given)}")
    return Rules(
        mac=text("mac"),
        modified=text("lastmodified"),
        only_encrypted=str(found.get("mac_only_encrypted") or "").lower() == "true",
        groups=tuple({kind: _entries(group.get(kind)) for kind in KINDS if group.get(kind)} for group in whole),
        unencrypted_suffix=text("unencrypted_suffix") if given else "_unencrypted",
        encrypted_suffix=text("encrypted_suffix"),
        unencrypted_regex=pattern("unencrypted_regex"),
        encrypted_regex=pattern("encrypted_regex"),
        unencrypted_comment_regex=pattern("unencrypted_comment_regex"),
        encrypted_comment_regex=pattern("encrypted_comment_regex"),
    )


def _entries(found: Any) -> list[Mapping[str, Any]]:
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _any(pattern: Pattern, path: Path) -> bool:
    return any(pattern.search(step) for step in path)


def _any_comment(pattern: Pattern, comments: Comments) -> bool:
    return any(pattern.search(text) for level in comments for text in level)


def unflattened(pairs: Mapping[str, str]) -> dict[str, Any]:
    """The metadata of a flat store: 'age__list_0__map_enc' to {'age': [{'enc': ...}]}."""
    result: dict[str, Any] = {}
    for name, value in pairs.items():
        place: Any = result
        steps = name.replace("__list_", "\0#").replace("__map_", "\0").split("\0")
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            if step.startswith("#"):
                index = int(step[1:]) if step[1:].isdigit() and len(step) < 6 else 0
                place.extend({} for _ in range(index + 1 - len(place)))
                if following is None:
                    place[index] = value
                else:
                    place = place[index]
            elif following is None:
                place[step] = value
            else:
                place = place.setdefault(step, [] if following.startswith("#") else {})
    return result
