"""Is what a GitRepository resolved to signed by somebody who is trusted? Flux's `spec.verify`.

In: a repository, what the ref means, a mode, public keys. Out: what was verified, in Flux's words. The tree that is rendered
afterwards is checked to be the one that the verified bytes name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from penstock.adapters.git import signatures
from penstock.adapters.git.signatures import SignatureError, Signed
from penstock.controllers import references
from penstock.controllers.git_spec import GitRepositorySpec
from penstock.controllers.repositories import GitSource
from penstock.model import flux
from penstock.model.errors import PenstockError


class VerificationError(PenstockError):
    """Not verified; `code` is the condition's reason. `stalled` when only a change of the object can help."""

    def __init__(self, what: str, code: str, stalled: bool = False) -> None:
        super().__init__(what, None, code)
        self.stalled = stalled


def verify(repo: GitSource, spec: GitRepositorySpec, found: references.Found, secret: Mapping[str, bytes], now: datetime) -> str:
    """What the condition says of a commit (and its tag) that is signed as the mode wants. Raises VerificationError."""
    keys = signatures.keyring(value for _, value in sorted(secret.items()))
    lines = []
    if spec.verify_mode in ("Tag", "TagAndHEAD"):
        lines.append(_verify_tag(repo, found, keys, now))
    if spec.verify_mode in ("HEAD", "TagAndHEAD"):
        lines.append(_verify_commit(repo, found, keys, now))
    return "verified signature of" + "".join(f"\n\t- {line}" for line in lines)


def _verify_commit(repo: GitSource, found: references.Found, keys: signatures.Keyring, now: datetime) -> str:
    try:
        signed = signatures.commit(found.commit, repo.raw(found.commit))
        if signed.target != repo.commit(found.commit).tree_id:
            raise SignatureError("its tree is not the one it names")
        by = signatures.signer(signed, keys, now)
    except SignatureError as error:
        what = f"signature verification of commit '{found.commit}' failed: {error}"
        raise VerificationError(what, flux.INVALID_COMMIT_SIGNATURE) from None
    return f"commit '{found.commit}' with key '{by}'"


def _verify_tag(repo: GitSource, found: references.Found, keys: signatures.Keyring, now: datetime) -> str:
    if not found.tag:
        what = "cannot verify tag object's signature if a tag reference is not specified"
        raise VerificationError(what, flux.INVALID_VERIFICATION_MODE, stalled=True)
    name = repo.annotated(found.tag)
    unsigned = f"cannot verify signature of tag '{found.tag}' since it is not signed"
    if name is None:
        raise VerificationError(unsigned, flux.INVALID_GIT_OBJECT)
    try:
        signed = signatures.tag(name, repo.raw(name))
        if not signed.signature:
            raise VerificationError(unsigned, flux.INVALID_GIT_OBJECT)
        _require_same(signed, found)
        by = signatures.signer(signed, keys, now)
    except SignatureError as error:
        what = f"signature verification of tag '{found.tag}@{name}' failed: {error}"
        raise VerificationError(what, flux.INVALID_TAG_SIGNATURE) from None
    return f"tag '{found.tag}@{name}' with key '{by}'"


def _require_same(signed: Signed, found: references.Found) -> None:
    """A signed tag vouches for one commit under one name: under another name it may be an old release come back."""
    if signed.target != found.commit:
        raise SignatureError("it is of another commit")
    if signed.name != found.tag:
        raise SignatureError(f"it calls itself '{signed.name}'")
