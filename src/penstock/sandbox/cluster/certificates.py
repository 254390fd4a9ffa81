"""The cluster's own certificate authority and server certificate, kept with its state.

In: the state folder. Out: paths of PEM files, written once and then reused, so that a kubeconfig stays valid across
restarts. They are renewed when they have less than a day left.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

_LIFETIME = timedelta(days=3650)
NAMES = ("localhost",)
ADDRESSES = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Where the PEM files are."""

    ca: Path
    certificate: Path
    key: Path


def ensure(folder: Path, now: datetime | None = None) -> Certificates:
    """The certificates in this folder, made if they are missing or about to end."""
    found = Certificates(ca=folder / "ca.crt", certificate=folder / "server.crt", key=folder / "server.key")
    if not _usable(found, now or datetime.now(UTC)):
        _write(found, now or datetime.now(UTC))
    return found


def _usable(paths: Certificates, now: datetime) -> bool:
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(paths.certificate.read_bytes())
        x509.load_pem_x509_certificate(paths.ca.read_bytes())
        paths.key.read_bytes()
    except (OSError, ValueError):
        return False
    return certificate.not_valid_after_utc > now + timedelta(days=1)


def _write(paths: Certificates, now: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name, name = _name("penstock-sandbox-ca"), _name("penstock-sandbox")
    authority = (
        _builder(ca_name, ca_name, now)
        .public_key(ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .add_extension(_usage(sign=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    alternatives = [*(x509.DNSName(n) for n in NAMES), *(x509.IPAddress(ipaddress.ip_address(a)) for a in ADDRESSES)]
    certificate = (
        _builder(name, ca_name, now)
        .public_key(key.public_key())
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .add_extension(_usage(sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _replace(paths.ca, authority.public_bytes(pem), 0o644)
    _replace(paths.key, private, 0o600)
    # The certificate last: a start that was cut off before it makes everything anew.
    _replace(paths.certificate, certificate.public_bytes(pem), 0o644)


def _name(common: str) -> x509.Name:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])


def _builder(subject: x509.Name, issuer: x509.Name, now: datetime) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
    )


def _usage(*, sign: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=sign,
        crl_sign=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _replace(path: Path, content: bytes, mode: int) -> None:
    """Write a file whole or not at all, never readable by others before its mode is set."""
    temporary = path.with_suffix(path.suffix + ".new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=mode)
    temporary.write_bytes(content)
    temporary.replace(path)
