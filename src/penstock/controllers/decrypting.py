"""The keys that open a Kustomization's encrypted files.

In: `spec.decryption`. Out: an opener for the build, None where nothing is to be decrypted. The Secret is read as ourselves,
as Flux reads it: whoever applies need not be able to read keys. The keys of all Kustomizations are only a fallback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from penstock.adapters.sops_keys import Keys
from penstock.controllers.gitrepository import decoded
from penstock.controllers.specs import Key, KustomizationSpec
from penstock.decrypt.opening import Opener
from penstock.decrypt.sealed import SealedError
from penstock.model import flux
from penstock.model.errors import InputError, Place, Problem
from penstock.ports.cluster import Cluster
from penstock.render import patterns

AGE, PGP = ".agekey", ".asc"


class Openers:
    """The openers of one manager. `fallback` is namespace and name of the Secret with age keys for everybody."""

    def __init__(self, cluster: Cluster, fallback: Key | None = None) -> None:
        self._cluster = cluster
        self._fallback = fallback
        self._known: dict[Key, Keys] = {}
        """One keyring for each Secret in use: it remembers the data keys it unwrapped."""

    async def opener(self, spec: KustomizationSpec, namespace: str, annotations: Mapping[str, str]) -> Opener | None:
        """Raises InputError when there are no keys, or what is there are none; RemoteError."""
        if spec.decryption is None:
            return None
        reference = spec.decryption.get("secretRef") or {}
        if reference:
            keys = await self._keys((namespace, str(reference.get("name") or "")), (AGE, PGP))
        elif self._fallback is not None:
            keys = await self._keys(self._fallback, (AGE,))
        else:
            keys = Keys({}, {})
        check = annotations.get(flux.SOPS_MAC, "").lower() != "ignored"
        return Opener(keys, patterns.compiled, check=check)

    async def _keys(self, key: Key, endings: tuple[str, ...]) -> Keys:
        namespace, name = key
        resource = await self._cluster.resource("", "Secret", "v1")
        found = await self._cluster.get(resource, namespace, name) if resource is not None else None
        if found is None:
            raise _wrong(key, f'secrets "{name}" not found')
        data = decoded(found)
        age = {each: content.decode(errors="replace") for each, content in data.items() if each.endswith(AGE)}
        pgp = {each: content for each, content in data.items() if each.endswith(PGP) and PGP in endings}
        try:
            made = await asyncio.to_thread(Keys, age, pgp)
        except SealedError as error:
            raise _wrong(key, error.what) from None
        known = self._known.get(key)
        if known is not None and known.id == made.id:
            return known
        self._known[key] = made
        return made


def _wrong(key: Key, what: str) -> InputError:
    where = Place(path=f"Secret/{key[0]}/{key[1]}")
    text = f"cannot get sops decryption Secret '{key[0]}/{key[1]}': {what}"
    return InputError([Problem(what=text, where=where, code=flux.BUILD_FAILED)])
