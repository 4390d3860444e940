"""What a store's certificate says, and why one was refused. Pure: no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from agent.doctor.diagnosis import Mode

_SHOWN_MAX: Final = 200
_NAMES_MAX: Final = 8

# X509_V_ERR_* of OpenSSL, as ssl.SSLCertVerificationError.verify_code has them
_EXPIRED, _NOT_YET, _SELF_SIGNED, _SELF_SIGNED_ROOT, _NO_ISSUER, _NO_ISSUER_LEAF = 10, 9, 18, 19, 20, 21
_WRONG_NAME, _WRONG_IP = 62, 64

_WRONG_NAME_REMEDY: Final = "Use a name of the certificate in the store URL, or get a certificate for this one."
_WRONG_NAME_ON_PREMISE: Final = (
    " Where the store is reached by another address: set server_name under the store in the agent.toml of the agent."
)
_TRUST: Final[dict[Mode, str]] = {
    "cloud": "give it to the connection as private CA",
    "on-premise": "save it on the agent's machine and name it there: prestashop-agent stores add URL --ca-file FILE",
}
_CLOCK_OF: Final[dict[Mode, str]] = {"cloud": "the integration server", "on-premise": "the agent's machine"}


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


@dataclass(frozen=True, slots=True)
class Refusal:
    """A certificate that OpenSSL refused: its error, the name that was asked for, the time (unix) and the mode."""

    code: int
    message: str
    server_name: str
    now: float
    mode: Mode = "on-premise"

    def explain(self, certificate: Certificate | None) -> tuple[str, str, str]:
        """Verdict, finding and remedy; ``certificate`` is the one that was refused, None when it is not known."""
        if self.code == _EXPIRED:
            return self._expired(certificate)
        if self.code == _NOT_YET:
            begins = f", before {_time(certificate.starts_at)}" if certificate is not None else ""
            return (
                "certificate_not_yet_valid",
                f"The certificate of the store is not valid yet{begins}.",
                (
                    f"Check the clock of {_CLOCK_OF[self.mode]}, which says {_time(self.now)}; if that is right, "
                    "install a certificate on the shop's web server that is valid by now."
                ),
            )
        if self.code in (_WRONG_NAME, _WRONG_IP):
            names = ", ".join(certificate.names) if certificate is not None and certificate.names else "another name"
            return (
                "certificate_wrong_name",
                f'The certificate is for {names}, and not for "{self.server_name}".',
                _WRONG_NAME_REMEDY + (_WRONG_NAME_ON_PREMISE if self.mode == "on-premise" else ""),
            )
        if self.code in (_SELF_SIGNED, _SELF_SIGNED_ROOT, _NO_ISSUER, _NO_ISSUER_LEAF):
            return self._unknown_issuer(certificate)
        finding = f"The certificate of the store was refused: {self.message}."
        return "store_tls_failed", finding, "Replace it on the shop's web server."

    def _expired(self, certificate: Certificate | None) -> tuple[str, str, str]:
        if certificate is not None and certificate.ends_at > self.now:
            return (
                "certificate_expired",
                f"A certificate above that of the store has expired; its own ends on {_time(certificate.ends_at)}.",
                "Install the whole chain that the issuer gives now on the shop's web server, without the old one.",
            )
        ended = f": it ended on {_time(certificate.ends_at)}" if certificate is not None else ""
        return (
            "certificate_expired",
            f"The certificate of the store has expired{ended}.",
            (
                f"Renew it on the shop's web server; if that was done, check the clock of {_CLOCK_OF[self.mode]}, "
                f"which says {_time(self.now)}."
            ),
        )

    def _unknown_issuer(self, certificate: Certificate | None) -> tuple[str, str, str]:
        if self.code == _SELF_SIGNED:
            return (
                "certificate_unknown_issuer",
                "The certificate of the store is signed by itself.",
                (
                    "Install one of a public authority on the shop's web server, or trust this very certificate: "
                    f"{_TRUST[self.mode]}."
                ),
            )
        issuer = certificate.issuer if certificate is not None else "an unknown issuer"
        return (
            "certificate_unknown_issuer",
            f"The certificate of the store is signed by {issuer}, which is not known here.",
            (
                f"If the shop has a private CA, take its certificate: {_TRUST[self.mode]}. Else the web server may not "
                "send its intermediate certificate: install the whole chain there."
            ),
        )


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d at %H:%M} UTC"


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
