"""The error tree and the error contract. Pure: standard library only.

    AgentError                      anything this product raises on purpose
    +-- SettingsError               bad settings; the process ends with 78 (EX_CONFIG)
    |   +-- TokenError              the access token is malformed, altered or readable by others
    +-- StartError                  the machine refuses: port in use, directory locked, no such file
    +-- MessageError                a head or a body breaks RFC 9112 or one of our limits
    +-- ExchangeError               an exchange ends without the store's answer; one class per stable name
        +-- ClientKeyInvalid ... StoreTimeout

Every ``ExchangeError`` carries, as class attributes, what the contract fixes: the stable ``name``, the HTTP
``status``, the number used as ``code`` in PrestaShop's own error shape, the RFC 9209 ``proxy_error`` type,
whether an exchange that was not handed over may be tried again (``retryable``), and ``remedy``: what to do next,
and where.
"""

from __future__ import annotations

from typing import ClassVar, Final

EXIT_SETTINGS: Final = 78  # sysexits.h EX_CONFIG; systemd's RestartPreventExitStatus relies on it
EXIT_FAILURE: Final = 1


class AgentError(Exception):
    """Root of the tree. ``str(error)`` is one sentence that says what, where and what to do."""

    exit_code: ClassVar[int] = EXIT_FAILURE


class SettingsError(AgentError):
    """Settings that cannot work; repeating changes nothing, so the process ends with 78."""

    exit_code = EXIT_SETTINGS


class TokenError(SettingsError):
    """The access token cannot be used as it is: truncated, altered, of another version, or readable by others."""


class StartError(AgentError):
    """The machine refuses what the settings ask for: port in use, directory locked or unwritable."""


class MessageError(AgentError):
    """A request or response breaks RFC 9112 or one of our limits; ``answer`` is the exchange error it becomes."""

    def __init__(self, detail: str, answer: type[ExchangeError] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.answer = answer or BadRequest


class ExchangeError(AgentError):
    """An exchange ends without the store's answer.

    ``detail`` is our own text (never bytes of a peer, never a secret), shown to the caller after the summary.
    ``outcome_unknown`` is True when a write may or may not have reached the store.
    """

    name: ClassVar[str]
    status: ClassVar[int]
    code: ClassVar[int]
    proxy_error: ClassVar[str]
    summary: ClassVar[str]
    remedy: ClassVar[str]
    retryable: ClassVar[bool] = False
    retry_after_s: ClassVar[int | None] = None

    def __init__(
        self,
        detail: str = "",
        *,
        proxy_error: str | None = None,
        retry_after_s: int | None = None,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(detail or self.summary)
        self.detail = detail
        self.outcome_unknown = outcome_unknown
        self.proxy_error_type = proxy_error or self.proxy_error
        self.retry_after = self.retry_after_s if retry_after_s is None else retry_after_s

    @property
    def message(self) -> str:
        """The text of the error body: name, what happened, detail, what to do next."""
        return self.message_about("")

    def message_about(self, request_id: str) -> str:
        """The same; when the outcome is unknown it names the request, for whoever has to look what became of it."""
        parts = [f"{self.name}: {self.summary}"]
        if self.detail:
            parts.append(self.detail)
        if self.outcome_unknown:
            which = f"request {request_id}" if request_id else "this request"
            parts.append(f"outcome: unknown; the store may have carried out {which}, look before sending it again.")
        parts.append(self.remedy)
        return " ".join(parts)


class ClientKeyInvalid(ExchangeError):
    """No credential, an unknown or revoked client key, or a path that names no connection."""

    name = "client_key_invalid"
    status = 401
    code = 9001
    proxy_error = "http_request_denied"
    summary = "The gateway does not know this address and client key together."
    remedy = (
        "Send the client key as Basic user name (as PrestaShop clients do with the webservice key) and check the first "
        "path segment; client keys are made on the integration server."
    )


class ScopeDenied(ExchangeError):
    """The client key or the connection does not allow this method or resource."""

    name = "scope_denied"
    status = 403
    code = 9002
    proxy_error = "http_request_denied"
    summary = "The client key or the connection does not allow this method on this resource."
    remedy = "Widen the key or the connection on the integration server, or use another key."


class PolicyDenied(ExchangeError):
    """The policy (of agent or gateway) does not let this request reach the store, or the shop has paused the store."""

    name = "policy_denied"
    status = 403
    code = 9003
    proxy_error = "http_request_denied"
    summary = "The policy does not let this request reach the store."
    remedy = "What is open stands in the connection and in the settings of its agent, if any."


class ConnectionDisabled(ExchangeError):
    """The connection exists and is switched off."""

    name = "connection_disabled"
    status = 403
    code = 9004
    proxy_error = "http_request_denied"
    summary = "This connection is switched off."
    remedy = "Enable it on the integration server."


class BadRequest(ExchangeError):
    """The request breaks RFC 9112."""

    name = "bad_request"
    status = 400
    code = 9005
    proxy_error = "http_request_error"
    summary = "The request is not well-formed HTTP/1.1."
    remedy = "Correct the client; nothing was sent to the store."


class ClientTimeout(ExchangeError):
    """The client did not send its request in time."""

    name = "client_timeout"
    status = 408
    code = 9006
    proxy_error = "connection_read_timeout"
    summary = "The request did not arrive in time."
    remedy = "Send the whole request without pauses; the limits are settings of the integration server."


class BodyTooLarge(ExchangeError):
    """The request body is over the limit that was set."""

    name = "body_too_large"
    status = 413
    code = 9007
    proxy_error = "http_request_error"
    summary = "The request body is larger than this gateway was told to accept."
    remedy = "Send less at once, or raise body_max_bytes on the integration server."


class TargetTooLong(ExchangeError):
    """The request line is over 8 KiB."""

    name = "target_too_long"
    status = 414
    code = 9008
    proxy_error = "http_request_error"
    summary = "The request line is too long."
    remedy = "Split the filter into several requests; PrestaShop's own web servers stop at about 8 KB as well."


class HeadTooLarge(ExchangeError):
    """The request head is over 64 KiB."""

    name = "head_too_large"
    status = 431
    code = 9009
    proxy_error = "http_request_error"
    summary = "The request head is too large."
    remedy = "Send fewer or shorter header fields."


class ConnectionBusy(ExchangeError):
    """The connection's concurrency and queue are used up, or the agent's `max_requests_per_minute` for the store."""

    name = "connection_busy"
    status = 503
    code = 9010
    proxy_error = "connection_limit_reached"
    summary = "Too many requests of this connection are running or waiting; nothing was sent to the store."
    remedy = "Send fewer at once, or raise the connection's concurrency on the integration server."
    retry_after_s = 2


class AgentOffline(ExchangeError):
    """No tunnel of an agent that may serve this store is up."""

    name = "agent_offline"
    status = 503
    code = 9011
    proxy_error = "destination_unavailable"
    summary = "The agent of this connection is not connected; nothing was sent to the store."
    remedy = "Look at the agent on the store's network: see whether prestashop-agent is running, and what its log says."
    retryable = True
    retry_after_s = 10


class ServerDraining(ExchangeError):
    """The integration server is being restarted and takes no new exchange."""

    name = "server_draining"
    status = 503
    code = 9012
    proxy_error = "destination_unavailable"
    summary = "The integration server is restarting; nothing was sent to the store."
    remedy = "Send the request again in a moment."
    retryable = True
    retry_after_s = 5


class StoreUnreachable(ExchangeError):
    """The store's name does not resolve, or nothing answers at its address."""

    name = "store_unreachable"
    status = 502
    code = 9013
    proxy_error = "connection_refused"
    summary = "The store could not be reached; nothing was sent to it."
    remedy = "Check the web server of the store and its address from the machine that connects to it."
    retryable = True


class StoreTlsFailed(ExchangeError):
    """The store's certificate was not accepted, or the TLS handshake failed."""

    name = "store_tls_failed"
    status = 502
    code = 9014
    proxy_error = "tls_certificate_error"
    summary = "The TLS connection to the store was refused; nothing was sent to it."
    remedy = "Renew the certificate; an agent can be told a private CA (ca_file) or another server_name for this store."


class StoreBadResponse(ExchangeError):
    """The store closed without an answer, or its answer breaks RFC 9112 or our limits."""

    name = "store_bad_response"
    status = 502
    code = 9015
    proxy_error = "http_protocol_error"
    summary = "The store gave no answer, or none that is well-formed HTTP/1.1."
    remedy = "Ask the host of the store for the web server's error log at this time."


class TunnelLost(ExchangeError):
    """The tunnel broke before the answer came."""

    name = "tunnel_lost"
    status = 502
    code = 9016
    proxy_error = "connection_terminated"
    summary = "The tunnel to the agent broke before the answer came."
    remedy = "Reads may be sent again at once; the request id finds this exchange in the logs of both sides."


class StoreTimeout(ExchangeError):
    """The store did not answer, or stopped answering, in time."""

    name = "store_timeout"
    status = 504
    code = 9017
    proxy_error = "http_response_timeout"
    summary = "The store did not answer in time."
    remedy = "Ask for less at once (limit=), or raise the time-outs of the integration server and of the agent, if any."


CONTRACT: Final[tuple[type[ExchangeError], ...]] = tuple(ExchangeError.__subclasses__())
"""The one table of exchange errors, in the order in which they stand here; `docs/errors.md` is generated from it."""

BY_NAME: Final[dict[str, type[ExchangeError]]] = {error.name: error for error in CONTRACT}
