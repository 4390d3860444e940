"""What one answer of a store comes to: a verdict, what was seen, and what to do about it. Pure: no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from agent.store_url import Store

Mode = Literal["cloud", "on-premise"]
"""Who asks: the integration server itself, or an agent on the store's network."""

# Where the webservice itself spoke, whatever it said.
_WEBSERVICE_VERDICTS: Final = frozenset(
    {
        "ok",
        "header_lost",
        "query_lost",
        "key_malformed",
        "key_unknown",
        "key_without_permission",
        "key_not_for_shop",
        "webservice_off",
        "store_error_empty",
        "store_error",
    }
)


@dataclass(frozen=True, slots=True)
class Question:
    """What an answer is the answer to: ``GET <store>/api/``, and on which way it was asked.

    ``shop_host`` is what was sent as Host in mode cloud; on-premise the agent sends its own, which only it knows: it
    gives it as ``sent_host``.
    """

    store: Store
    mode: Mode = "on-premise"
    key_in: Literal["basic", "ws_key"] = "basic"
    shop_host: str | None = None
    sent_host: str | None = None

    @property
    def host(self) -> str:
        """The Host that was sent, in small letters, as far as it is known here."""
        cloud_host = self.shop_host if self.mode == "cloud" else None
        return (self.sent_host or cloud_host or self.store.authority).lower()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """``verdict`` is a stable name, ``finding`` what was seen, ``remedy`` what to do next ("" when all is well)."""

    verdict: str
    finding: str
    remedy: str
    status: int
    version: str | None = None
    resource_count: int | None = None

    @property
    def ok(self) -> bool:
        """True when the key opens the webservice."""
        return self.verdict == "ok"

    @property
    def webservice_found(self) -> bool:
        """True when it was PrestaShop's webservice that answered, even if it refused the key."""
        return self.verdict in _WEBSERVICE_VERDICTS
