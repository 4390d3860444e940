"""What a store's certificate says, and why one was refused. Pure: no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

_SHOWN_MAX: Final = 200
_NAMES_MAX: Final = 8

# X509_V_ERR_* of OpenSSL, as ssl.SSLCertVerificationError.verify_code has them
_EXPIRED, _NOT_YET, _SELF_SIGNED, _SELF_SIGNED_ROOT, _NO_ISSUER, _NO_ISSUER_LEAF = 10, 9, 18, 19, 20, 21
_WRONG_NAME, _WRONG_IP = 62, 64

_WRONG_NAME_REMEDY: Final = (
    "Use a name of the certificate in the store URL, or get a certificate for this one. Where the store is reached by "
    "another address: set server_name under the store in the agent.toml of the agent."
)
_UNKNOWN_REMEDY: Final = (
    "If the shop has a private CA, give its certificate (ca_file under the store in agent.toml, or the private CA of a "
    "Cloud connection). Else the web server may not send its intermediate certificate."
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Issuer and names as short printable texts; times are unix seconds."""

    issuer: str
    names: tuple[str, ...]
    starts_at: float
    ends_at: float
    self_signed: bool


def read_certificate(der: bytes) -> Certificate | None:
    """The certificate; None when it cannot be read."""
    try:
        found = x509.load_der_x509_certificate(der)
        return Certificate(
            issuer=_shown(found.issuer),
            names=_names(found),
            starts_at=found.not_valid_before_utc.timestamp(),
            ends_at=found.not_valid_after_utc.timestamp(),
            self_signed=found.issuer == found.subject,
        )
    except (ValueError, x509.UnsupportedGeneralNameType):
        return None


def why_refused(code: int, message: str, server_name: str, certificate: Certificate | None) -> tuple[str, str, str]:
    """Verdict, finding and remedy for a verification error of OpenSSL."""
    names = ", ".join(certificate.names) if certificate is not None and certificate.names else "another name"
    issuer = certificate.issuer if certificate is not None else "an unknown issuer"
    if code == _EXPIRED:
        return "certificate_expired", "The certificate of the store has expired.", "Renew it on the shop's web server."
    if code == _NOT_YET:
        return (
            "certificate_not_yet_valid",
            "The certificate of the store is not valid yet.",
            "Check the clock of this machine and the date of the certificate.",
        )
    if code in (_WRONG_NAME, _WRONG_IP):
        return (
            "certificate_wrong_name",
            f'The certificate is for {names}, and not for "{server_name}".',
            _WRONG_NAME_REMEDY,
        )
    if code in (_SELF_SIGNED, _SELF_SIGNED_ROOT, _NO_ISSUER, _NO_ISSUER_LEAF):
        own = "signed by itself" if code == _SELF_SIGNED else f"signed by {issuer}, which is not known here"
        return (
            "certificate_unknown_issuer",
            f"The certificate of the store is {own}.",
            _UNKNOWN_REMEDY,
        )
    return "store_tls_failed", f"The certificate of the store was refused: {message}.", "Renew or replace it."


def _names(found: x509.Certificate) -> tuple[str, ...]:
    try:
        held = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(_printable(str(each.value)) for each in common[:1])
    names = [*held.get_values_for_type(x509.DNSName)]
    names += [str(each) for each in held.get_values_for_type(x509.IPAddress)]
    return tuple(_printable(name) for name in names[:_NAMES_MAX])


def _shown(name: x509.Name) -> str:
    for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        held = name.get_attributes_for_oid(kind)
        if held:
            return _printable(str(held[0].value))
    return "(unnamed)"


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)[:_SHOWN_MAX]
