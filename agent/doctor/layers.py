"""At which layer a verdict stands. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agent.doctor.report import Layer

_VERDICTS: Final[Mapping[Layer, str]] = {
    Layer.AGENT: "agent_offline agent_disabled agent_revoked agent_draining agent_busy tunnel_lost "
    "server_draining connection_busy",
    Layer.POLICY: "policy_denied connection_disabled",
    Layer.DNS: "dns_failed address_not_allowed",
    Layer.TCP: "store_unreachable",
    Layer.TLS: "store_tls_failed certificate_expired certificate_not_yet_valid certificate_wrong_name "
    "certificate_unknown_issuer certificate_ends unverified",
    Layer.HTTP: "https_only wrong_host redirected firewall store_down unexpected_status password_in_front "
    "store_bad_response store_timeout",
    Layer.WEBSERVICE: "wrong_folder header_lost query_lost header_replaced webservice_off store_error_empty "
    "store_error shop_unknown not_a_webservice key_added_in_front",
    Layer.KEY: "key_malformed key_unknown key_not_for_shop",
    Layer.PERMISSIONS: "key_without_permission test_failed",
}
_LAYERS: Final = {verdict: layer for layer, verdicts in _VERDICTS.items() for verdict in verdicts.split()}

KNOWN_VERDICTS: Final = frozenset(_LAYERS) | {"", "ok"}


def layer_of(verdict: str) -> Layer:
    """The layer; HTTP for a verdict that is not known here."""
    return _LAYERS.get(verdict, Layer.HTTP)
