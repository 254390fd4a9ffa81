"""Who signed a commit or a tag? In: the raw object as it stands in the database, and trusted public keys. Out: the key.

The object is taken apart here and nowhere else: what is verified, what names the tree and what is rendered are the same
bytes, whose hash is their id. Whatever is odd is refused, not interpreted: two signatures, a second header of a kind that
there may be only one of, a tag whose name is not the one it was fetched by. A key that is expired or revoked by now signs
nothing, however old the signature is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pysequoia import Cert

_PGP, _SSH = b"-----BEGIN PGP SIGNATURE-----", b"-----BEGIN SSH SIGNATURE-----"
_PUBLIC_PGP, _PUBLIC_SSH = b"-----BEGIN PGP PUBLIC KEY BLOCK-----", (b"ssh-", b"ecdsa-", b"sk-")
_LONGEST_SIGNATURE = 64 * 1024
_SMALLEST_RSA_BITS = 2048
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}


class SignatureError(Exception):
    """The signature is missing, odd, or not by a trusted key; the text says which and holds nothing of the object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A commit or tag, taken apart."""

    id: str
    kind: Literal["commit", "tag"]
    target: str
    """The tree of a commit, the object of a tag."""
    name: str
    """Of a tag, as it calls itself."""
    payload: bytes
    """What the signature is over."""
    signature: bytes
    """Armoured; empty when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """Public keys that are trusted, as the values of a Secret hold them (`.asc` and `.sshpub`)."""

    pgp: tuple[bytes, ...] = ()
    ssh: tuple[bytes, ...] = ()
    """Lines in OpenSSH's form."""


def keyring(values: Iterable[bytes]) -> Keyring:
    """Sort keys by what they are; what is neither kind is left out (Flux puts no order into the names either)."""
    pgp, ssh = [], []
    for value in values:
        if _PUBLIC_PGP in value:
            pgp.append(value)
        else:
            ssh += [line.strip() for line in value.splitlines() if line.strip().startswith(_PUBLIC_SSH)]
    return Keyring(pgp=tuple(pgp), ssh=tuple(ssh))


def commit(name: str, raw: bytes) -> Signed:
    """Take a commit apart. Raises SignatureError for one that no git writes."""
    return _parsed(name, "commit", raw)


def tag(name: str, raw: bytes) -> Signed:
    """Take an annotated tag apart. Raises SignatureError."""
    return _parsed(name, "tag", raw)


def signer(signed: Signed, keys: Keyring, now: datetime) -> str:
    """The trusted key that signed: its long id (PGP) or its SHA256 fingerprint (SSH). Raises SignatureError."""
    if not signed.signature:
        raise SignatureError("it is not signed")
    if len(signed.signature) > _LONGEST_SIGNATURE:
        raise SignatureError("its signature is too long")
    if signed.signature.startswith(_PGP):
        return _pgp(signed, keys, now)
    if signed.signature.startswith(_SSH):
        return _ssh(signed, keys)
    raise SignatureError("its signature is neither PGP nor SSH")


def _parsed(name: str, kind: Literal["commit", "tag"], raw: bytes) -> Signed:
    algorithm = hashlib.sha256 if len(name) == 64 else hashlib.sha1
    if algorithm(b"%s %d\0" % (kind.encode(), len(raw)) + raw).hexdigest() != name:
        raise SignatureError("its content does not have its id")
    head, separator, message = raw.partition(b"\n\n")
    fields = _fields(head)
    names = [key for key, _, _ in fields]
    for single in (b"tree", b"author", b"committer") if kind == "commit" else (b"object", b"type", b"tag"):
        if names.count(single) != 1:
            raise SignatureError(f"it has {names.count(single)} headers '{single.decode()}'")
    held = {key: value for key, value, _ in fields}
    signatures = [value for key, value, _ in fields if key.startswith(b"gpgsig")]
    if kind == "tag":
        if signatures:
            raise SignatureError("it has a signature in its header")
        payload, signature = _split(raw)
    else:
        if len(signatures) > 1:
            raise SignatureError("it has more than one signature")
        payload = b"".join(text for key, _, text in fields if not key.startswith(b"gpgsig")) + separator[1:] + message
        signature = signatures[0] if signatures else b""
    if kind == "tag" and held[b"type"] != b"commit":
        raise SignatureError("it is not a tag of a commit")
    return Signed(
        id=name,
        kind=kind,
        target=held[b"tree" if kind == "commit" else b"object"].decode("ascii", "replace"),
        name=held.get(b"tag", b"").decode("utf-8", "surrogateescape") if kind == "tag" else "",
        payload=payload,
        signature=signature,
    )


def _fields(head: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """Headers in order: name, value, and the lines as they stand (with their ends)."""
    found: list[tuple[bytes, bytes, bytes]] = []
    if b"\0" in head:
        raise SignatureError("it has a NUL in its headers")
    for line in head.split(b"\n"):
        if line.startswith(b" "):
            if not found:
                raise SignatureError("its headers begin with a continuation")
            name, value, text = found.pop()
            found.append((name, value + b"\n" + line[1:], text + line + b"\n"))
        else:
            name, _, value = line.partition(b" ")
            found.append((name, value, line + b"\n"))
    return found


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """A tag's signature is the end of its message, from the last line on that begins one."""
    at = max(raw.rfind(b"\n" + mark) for mark in (_PGP, _SSH))
    return (raw, b"") if at < 0 else (raw[: at + 1], raw[at + 1 :])


def _pgp(signed: Signed, keys: Keyring, now: datetime) -> str:
    import pysequoia

    try:
        packets = list(pysequoia.packet.PacketPile.from_bytes(signed.signature))
        made = pysequoia.Sig.from_bytes(signed.signature)
    except Exception:  # the library raises plain Exceptions
        raise SignatureError("its signature cannot be read") from None
    if len(packets) != 1:
        raise SignatureError("it has more than one signature")
    certificates = [each for block in keys.pgp for each in _certificates(block)]
    by = (made.issuer_fingerprint or made.issuer_key_id or "").lower()
    found = [each for each in certificates if by and any(_is(key, by) for key in _keys_of(each))]
    if not found:
        raise SignatureError(f"it is signed by {_shown(by)}, which is not a trusted key")
    for certificate in found:
        _require_good(certificate, by, now)
    try:
        checked = pysequoia.verify(bytes=signed.payload, signature=made, store=lambda _: found)
    except Exception:
        raise SignatureError(f"its signature by {_shown(by)} does not hold") from None
    if not checked.valid_sigs:
        raise SignatureError(f"its signature by {_shown(by)} does not hold")
    if made.expiration is not None and made.expiration <= now:
        raise SignatureError(f"its signature by {_shown(by)} has expired")
    return str(found[0].fingerprint)[-16:].upper()


def _certificates(block: bytes) -> list[Cert]:
    import pysequoia

    try:
        return list(pysequoia.Cert.split_bytes(block))
    except Exception:  # a key that cannot be read is a key nobody has
        return []


def _keys_of(certificate: Cert) -> list[str]:
    return [packet.fingerprint.lower() for packet in _packets(certificate) if packet.fingerprint and _is_key(packet)]


def _packets(certificate: Cert) -> list[Any]:
    import pysequoia

    return list(pysequoia.packet.PacketPile.from_bytes(bytes(certificate)))


def _is_key(packet: Any) -> bool:
    return str(packet.tag).rsplit(".", 1)[-1] in ("PublicKey", "PublicSubkey")


def _is(fingerprint: str, by: str) -> bool:
    return fingerprint.endswith(by)


def _require_good(certificate: Cert, by: str, now: datetime) -> None:
    """Neither the certificate nor the (sub)key that signed may be revoked or expired by now.

    The library judges a key as of the moment of the signature, which whoever holds a stolen key chooses.
    """
    if certificate.is_revoked:
        raise SignatureError(f"its key {_shown(by)} is revoked")
    if certificate.expiration is not None and certificate.expiration <= now:
        raise SignatureError(f"its key {_shown(by)} has expired")
    created, ends, ours = None, None, False
    for packet in _packets(certificate):
        if _is_key(packet):
            if ours:
                break
            ours = _is(packet.fingerprint.lower(), by)
            created, ends = packet.key_created, None
        elif ours and packet.signature_type is not None:
            kind = str(packet.signature_type).rsplit(".", 1)[-1]
            if kind in ("SubkeyRevocation", "KeyRevocation"):
                raise SignatureError(f"its key {_shown(by)} is revoked")
            if kind == "SubkeyBinding" and created is not None:
                ends = created + packet.key_validity_period if packet.key_validity_period else None
    if ours and ends is not None and ends <= now.astimezone(UTC):
        raise SignatureError(f"its key {_shown(by)} has expired")


def _shown(by: str) -> str:
    return by[-16:].upper() or "an unnamed key"


def _ssh(signed: Signed, keys: Keyring) -> str:
    from sshsig.sshsig import SshsigSignature, SshsigWrapper

    try:
        made = SshsigSignature.from_armored(signed.signature)
    except Exception:
        raise SignatureError("its signature cannot be read") from None
    if made.namespace != b"git":
        raise SignatureError("its signature was not made for Git")
    hashed = _HASHES.get(made.hash_algo)
    if hashed is None:
        raise SignatureError("its signature uses a hash that is not accepted")
    fingerprint = _fingerprint(made.public_key)
    if made.public_key not in {blob for line in keys.ssh if (blob := _blob(line))}:
        raise SignatureError(f"it is signed by {fingerprint}, which is not a trusted key")
    message = bytes(SshsigWrapper(namespace=b"git", hash_algo=made.hash_algo, hash=hashed(signed.payload).digest()))
    try:
        _check_ssh(made.public_key, made.signature, message)
    except SignatureError:
        raise
    except Exception:  # InvalidSignature, and whatever a forged structure provokes
        raise SignatureError(f"its signature by {fingerprint} does not hold") from None
    return fingerprint


def _check_ssh(public: bytes, signature: bytes, message: bytes) -> None:
    """Verify by the key's own algorithm. Raises SignatureError, or anything for a signature that does not hold."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

    algorithm, rest = _string(signature)
    value, _ = _string(rest)
    name, _ = _string(public)
    key = serialization.load_ssh_public_key(name + b" " + _base64(public))
    if isinstance(key, ed25519.Ed25519PublicKey) and algorithm == b"ssh-ed25519":
        key.verify(value, message)
    elif isinstance(key, rsa.RSAPublicKey) and algorithm in (b"rsa-sha2-256", b"rsa-sha2-512"):
        if key.key_size < _SMALLEST_RSA_BITS:
            raise SignatureError("its RSA key is too short")
        key.verify(value, message, padding.PKCS1v15(), hashes.SHA256() if algorithm.endswith(b"256") else hashes.SHA512())
    elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm == name:
        first, rest = _string(value)
        second, _ = _string(rest)
        hashed = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[key.curve.key_size]
        both = utils.encode_dss_signature(int.from_bytes(first), int.from_bytes(second))
        key.verify(both, message, ec.ECDSA(hashed))
    else:
        raise SignatureError("its signature is of a kind that is not accepted")


def _string(data: bytes) -> tuple[bytes, bytes]:
    """A length-prefixed string of the SSH protocol, and what is behind it."""
    length = int.from_bytes(data[:4])
    if len(data) < 4 + length:
        raise ValueError("cut short")
    return data[4 : 4 + length], data[4 + length :]


def _blob(line: bytes) -> bytes:
    """The key of an OpenSSH line, b'' when it is none."""
    import binascii

    parts = line.split()
    try:
        return binascii.a2b_base64(parts[1], strict_mode=True) if len(parts) > 1 else b""
    except binascii.Error:
        return b""


def _base64(data: bytes) -> bytes:
    import base64

    return base64.b64encode(data)


def _fingerprint(public: bytes) -> str:
    return "SHA256:" + _base64(hashlib.sha256(public).digest()).decode().rstrip("=")
