"""The layers below HTTP: name, connection, certificate. Each step is timed by itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any, Final

from agent.checkup.collector import AnswerCollector
from agent.checkup.plan import CheckPlan
from agent.doctor.certificate import Certificate, Refusal, read_certificate
from agent.doctor.diagnosis import Mode
from agent.doctor.report import Layer, Step, StepState
from agent.forward.dialer import dial_failure
from agent.forward.lookup import resolve

_DAY_S: Final = 86_400.0
_CHECK_IT: Final[dict[Mode, str]] = {
    "cloud": "Switch the check of the certificate on in the connection; for a private CA, give its certificate there.",
    "on-premise": "Remove verify = false under this store in agent.toml; for a private CA, name it there as ca_file.",
}


class LayerFailed(Exception):
    """A layer failed: the check ends with this step."""

    def __init__(self, step: Step) -> None:
        super().__init__(step.verdict)
        self.step = step


@dataclass(frozen=True, slots=True)
class Line:
    """A connection to the store over which a request can be sent; ``certificate`` None without TLS."""

    transport: asyncio.Transport
    collector: AnswerCollector
    certificate: Certificate | None


async def find_addresses(plan: CheckPlan) -> tuple[tuple[str, ...], Step]:
    """The addresses of the name. Raises LayerFailed."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(plan.connect_timeout_s):
            found = await resolve(plan.address, plan.port)
    except (OSError, ValueError) as error:  # TimeoutError is an OSError
        finding = f'The name "{plan.address}" does not resolve.'
        if isinstance(error, TimeoutError):
            finding = f'No name server answered for "{plan.address}" within {plan.connect_timeout_s:g} s.'
        remedy = "Check the spelling of the host in the store URL, and the name server of the machine that asks."
        raise LayerFailed(_failed(Layer.DNS, began, "dns_failed", finding, remedy)) from None
    refusal = plan.refuse_addresses(found)
    if refusal:
        remedy = "A shop on a private network needs an agent (mode On-premise), or cloud.allow_private_origins."
        raise LayerFailed(_failed(Layer.DNS, began, "address_not_allowed", refusal, remedy))
    shown = ", ".join(found[:4])
    finding = f"{plan.address} is {shown}." if found[0] != plan.address else f"{plan.address} is an address already."
    return found, Step(Layer.DNS, StepState.OK, finding, elapsed_ms=_since(began), facts={"addresses": shown})


async def connect(plan: CheckPlan, addresses: tuple[str, ...]) -> tuple[socket.socket, str, Step]:
    """A TCP connection to the first address that answers. Raises LayerFailed."""
    began = time.monotonic()
    failure: Exception = OSError("no address")
    for address in addresses:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(plan.connect_timeout_s):
                await asyncio.get_running_loop().sock_connect(sock, (address, plan.port))
        except (OSError, TimeoutError) as error:
            sock.close()
            failure = error
        except BaseException:  # cancelled, too: nobody else knows this socket yet
            sock.close()
            raise
        else:
            finding = f"{address} port {plan.port} accepts connections."
            return sock, address, Step(Layer.TCP, StepState.OK, finding, elapsed_ms=_since(began))
    said = dial_failure(failure, f"{plan.address}:{plan.port}")
    remedy = (
        "Check the port in the store URL, that the web server runs, and that no firewall stands between the machine "
        "that asks and the shop."
    )
    raise LayerFailed(_failed(Layer.TCP, began, "store_unreachable", said.detail, remedy)) from None


async def secure(plan: CheckPlan, sock: socket.socket, address: str) -> tuple[Line, Step]:
    """TLS over the connection, where the store has it. Raises LayerFailed."""
    loop = asyncio.get_running_loop()
    began = time.monotonic()
    if plan.tls is None:
        transport, protocol = await loop.create_connection(AnswerCollector, sock=sock)
        return Line(transport, protocol, None), Step(
            Layer.TLS, StepState.SKIPPED, "The store is reached over plain http."
        )
    try:
        transport, protocol = await loop.create_connection(
            AnswerCollector,
            sock=sock,
            ssl=plan.tls,
            server_hostname=plan.server_name,
            ssl_handshake_timeout=plan.tls_timeout_s,
        )
    except ssl.SSLCertVerificationError as error:
        certificate = await _certificate_unverified(plan, address)
        refusal = Refusal(error.verify_code, error.verify_message, plan.server_name, time.time(), plan.mode)
        verdict, finding, remedy = refusal.explain(certificate)
        facts = _facts(certificate)
        raise LayerFailed(_failed(Layer.TLS, began, verdict, finding, remedy, facts)) from None
    except (OSError, ssl.SSLError) as error:
        said = dial_failure(error, f"{plan.address}:{plan.port}")
        remedy = "Check that this port speaks TLS (1.2 or newer), and http or https in the store URL."
        raise LayerFailed(_failed(Layer.TLS, began, "store_tls_failed", said.detail, remedy)) from None
    found = transport.get_extra_info("ssl_object")
    certificate = read_certificate(found.getpeercert(binary_form=True) or b"") if found is not None else None
    return Line(transport, protocol, certificate), _verified(plan, certificate, found, began)


def _verified(plan: CheckPlan, certificate: Certificate | None, found: Any, began: float) -> Step:  # noqa: ANN401 - ssl's own
    facts = _facts(certificate) | ({"version": str(found.version())} if found is not None else {})
    if plan.tls is not None and plan.tls.verify_mode is ssl.CERT_NONE:
        finding = "Encrypted, but the certificate is not checked: anyone on the way can read and change everything."
        remedy = _CHECK_IT[plan.mode]
        return Step(Layer.TLS, StepState.WARNING, finding, remedy, "unverified", _since(began), facts)
    if certificate is None:
        return Step(Layer.TLS, StepState.OK, "The certificate is accepted.", elapsed_ms=_since(began), facts=facts)
    days = (certificate.ends_at - time.time()) / _DAY_S
    if days <= plan.certificate_warning_days:
        finding = f"The certificate of {certificate.issuer} ends in {days:.1f} days."
        remedy = "Renew it on the shop's web server, and see why it is not renewed by itself."
        return Step(Layer.TLS, StepState.WARNING, finding, remedy, "certificate_ends", _since(began), facts)
    finding = f"The certificate of {certificate.issuer} is valid for {days:.0f} more days."
    return Step(Layer.TLS, StepState.OK, finding, elapsed_ms=_since(began), facts=facts)


async def _certificate_unverified(plan: CheckPlan, address: str) -> Certificate | None:
    """What certificate was refused: read in a handshake of its own, over which nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, TimeoutError, ssl.SSLError):
        async with asyncio.timeout(plan.connect_timeout_s + plan.tls_timeout_s):
            transport, _ = await loop.create_connection(
                asyncio.Protocol, address, plan.port, ssl=context, server_hostname=plan.server_name
            )
            found = transport.get_extra_info("ssl_object")
            der = found.getpeercert(binary_form=True) if found is not None else None
            transport.abort()
            return read_certificate(der or b"")
    return None


def _facts(certificate: Certificate | None) -> dict[str, str | int | float | bool]:
    if certificate is None:
        return {}
    return {
        "issuer": certificate.issuer,
        "names": ", ".join(certificate.names),
        "ends_at": certificate.ends_at,
        "self_signed": certificate.self_signed,
    }


def _failed(
    layer: Layer,
    began: float,
    verdict: str,
    finding: str,
    remedy: str,
    facts: dict[str, str | int | float | bool] | None = None,
) -> Step:
    return Step(layer, StepState.FAILED, finding, remedy, verdict, _since(began), facts or {})


def _since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)
