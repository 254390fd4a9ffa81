"""Whether a refused change is one that only recreating the object can bring about.

In: what the API server said field by field. Out: a yes only when every complaint is about immutability. A typo beside it
would let the object be deleted and then fail to come back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from penstock.apply import marks
from penstock.model import flux
from penstock.model.resource import ResourceId

_IMMUTABLE = re.compile(
    r"field is immutable|immutable when `immutable` is set|is immutable|cannot change roleRef|"
    r"updates to .* for fields other than|may not change once set|updates to parameters are forbidden",
    re.IGNORECASE,
)
NEVER_RECREATED = frozenset({("", "Namespace"), ("apiextensions.k8s.io", "CustomResourceDefinition")})
DATA_KINDS = frozenset({("", "PersistentVolumeClaim"), ("", "PersistentVolume"), ("apps", "StatefulSet")})
"""Recreated only with a mark of their own: their data or their pods' identity goes with them."""


def proven(messages: Sequence[str]) -> bool:
    """Whether every message, one per field, is about immutability."""
    return bool(messages) and all(_IMMUTABLE.search(message) for message in messages)


def may_recreate(id: ResourceId, manifest: Mapping[str, Any], *, force: bool) -> bool:  # noqa: A002
    """Whether `force` (of the Kustomization, or marked on the object) reaches this object."""
    if not (force or marks.forced(manifest)) or (id.group, id.kind) in NEVER_RECREATED:
        return False
    if (id.group, id.kind) in DATA_KINDS:
        return marks.marked(manifest, flux.FORCE_PROTECTED, "enabled")
    return True
