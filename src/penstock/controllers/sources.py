"""Where Kustomizations find what they build from: the trees of this process's sources, and artifacts others serve.

In: a namespace, a name and a revision, or an announced artifact. Out: a Source.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.controllers import artifacts
from penstock.controllers.specs import Key
from penstock.model import flux
from penstock.model.errors import RefusedError
from penstock.model.resource import Manifest
from penstock.model.tree import Tree

_FETCHED = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a Kustomization builds from."""

    revision: str
    digest: str
    tree: Tree


class Sources:
    """The trees of this cluster's sources, by namespace and name."""

    def __init__(self) -> None:
        self._known: dict[Key, Source] = {}
        self._fetched: dict[str, Tree] = {}
        """By digest, the oldest use first."""

    def get(self, key: Key, revision: str) -> Source | None:
        """The source at exactly this revision."""
        found = self._known.get(key)
        return found if found is not None and found.revision == revision else None

    def put(self, key: Key, source: Source) -> None:
        self._known[key] = source

    def drop(self, key: Key) -> None:
        self._known.pop(key, None)

    async def external(self, artifact: Mapping[str, Any]) -> Source:
        """A source whose artifact another controller serves; the last few are kept, by their digest.

        Raises RefusedError (not what was announced), TransientError (not there yet, no answer).
        """
        revision, digest = str(artifact.get("revision") or ""), str(artifact.get("digest") or "")
        tree = self._fetched.pop(digest, None) if digest else None
        if tree is None:
            tree = await artifacts.fetch(artifact)
        self._fetched[digest] = tree
        while len(self._fetched) > _FETCHED:
            del self._fetched[next(iter(self._fetched))]
        return Source(revision=revision, digest=digest, tree=tree)


def decoded(secret: Manifest) -> Mapping[str, bytes]:
    """The data of a Secret. Raises RefusedError, without the data, when it is not base64."""
    try:
        return {key: base64.b64decode(str(value), validate=True) for key, value in (secret.get("data") or {}).items()}
    except binascii.Error:
        raise RefusedError("the secret's data is not base64", code=flux.AUTHENTICATION_FAILED) from None
