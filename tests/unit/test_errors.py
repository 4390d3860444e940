"""The error contract: seventeen stable names, each a sentence that says what to do next."""

from __future__ import annotations

import pytest

from agent.errors import (
    BY_NAME,
    CONTRACT,
    EXIT_FAILURE,
    EXIT_SETTINGS,
    AgentError,
    BadRequest,
    ExchangeError,
    MessageError,
    SettingsError,
    StartError,
    StoreTimeout,
    TokenError,
)

STATUS_BY_NAME = {
    "client_key_invalid": 401,
    "scope_denied": 403,
    "policy_denied": 403,
    "connection_disabled": 403,
    "bad_request": 400,
    "client_timeout": 408,
    "body_too_large": 413,
    "target_too_long": 414,
    "head_too_large": 431,
    "connection_busy": 503,
    "agent_offline": 503,
    "server_draining": 503,
    "store_unreachable": 502,
    "store_tls_failed": 502,
    "store_bad_response": 502,
    "tunnel_lost": 502,
    "store_timeout": 504,
}

# RFC 9209 section 2.3, the registered proxy error types.
RFC_9209 = frozenset(
    "dns_timeout dns_error destination_not_found destination_unavailable destination_ip_prohibited "
    "destination_ip_unroutable connection_refused connection_terminated connection_timeout connection_read_timeout "
    "connection_write_timeout connection_limit_reached tls_protocol_error tls_certificate_error tls_alert_received "
    "http_request_error http_request_denied http_response_incomplete http_response_header_section_size "
    "http_response_header_size http_response_body_size http_response_trailer_section_size "
    "http_response_trailer_size http_response_transfer_coding http_response_content_coding http_response_timeout "
    "http_upgrade_failed http_protocol_error proxy_internal_response proxy_internal_error "
    "proxy_configuration_error proxy_loop_detected".split()
)


def test_the_names_and_statuses_are_the_promised_ones() -> None:
    assert {error.name: error.status for error in CONTRACT} == STATUS_BY_NAME
    assert {error.name: error for error in CONTRACT} == BY_NAME


def test_codes_are_distinct_and_outside_of_prestashops() -> None:
    codes = [error.code for error in CONTRACT]
    assert len(set(codes)) == len(codes)
    assert min(codes) > 9000


def test_every_class_of_the_tree_is_in_the_table() -> None:
    assert set(ExchangeError.__subclasses__()) == set(CONTRACT)


@pytest.mark.parametrize("error", CONTRACT, ids=lambda error: error.name)
def test_an_error_says_what_happened_and_what_to_do(error: type[ExchangeError]) -> None:
    made = error("Some detail.", outcome_unknown=True)
    assert made.message.startswith(f"{error.name}: {error.summary} Some detail. outcome: unknown;")
    assert made.message.endswith(error.remedy)
    assert error.summary.endswith(".")
    assert error.remedy.endswith(".")
    assert made.proxy_error_type == error.proxy_error
    assert error.proxy_error in RFC_9209
    assert made.retry_after == error.retry_after_s
    assert error().message == f"{error.name}: {error.summary} {error.remedy}"
    assert str(error()) == error.summary


def test_only_what_was_not_handed_over_may_be_tried_again() -> None:
    assert {error.name for error in CONTRACT if error.retryable} == {
        "agent_offline",
        "server_draining",
        "store_unreachable",
    }


def test_an_exchange_may_say_it_more_exactly() -> None:
    made = StoreTimeout("d", proxy_error="dns_timeout", retry_after_s=7)
    assert (made.proxy_error_type, made.retry_after) == ("dns_timeout", 7)


def test_a_broken_message_becomes_bad_request_unless_said_otherwise() -> None:
    assert MessageError("x").answer is BadRequest
    assert MessageError("x", StoreTimeout).answer is StoreTimeout


def test_exit_codes() -> None:
    assert (SettingsError.exit_code, TokenError.exit_code) == (EXIT_SETTINGS, 78)
    assert (StartError.exit_code, AgentError.exit_code) == (EXIT_FAILURE, 1)
