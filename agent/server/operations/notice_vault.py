"""What is sealed of a notice target: the URL of a webhook, and the secret that signs its bodies."""

from __future__ import annotations

import base64
import secrets
from typing import Any, Final

from sqlalchemy import RowMapping

from agent.server.db.watch_tables import NOTICE_TARGETS
from agent.server.operations.notice_address import read_email, read_webhook_url
from agent.server.operations.notice_message import Destination, NotDeliveredError, TargetKind
from agent.server.vault import EnvelopeError, Place, Vault

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how Standard Webhooks marks a secret, not one

_SECRET_BYTES: Final = 32  # Standard Webhooks asks for 24 to 64


def new_secret() -> str:
    """``whsec_`` and 256 random bits in base64, as the libraries of Standard Webhooks take it."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def seal_secret(vault: Vault, target_id: str, secret: str) -> bytes:
    """The envelope for the column ``secret``."""
    return vault.seal(secret, _place(target_id, "secret"))


def address_columns(vault: Vault, target_id: str, kind: TargetKind, address: str) -> dict[str, Any]:
    """The columns ``address`` (what is shown) and ``url`` (sealed). Raises InvalidError for what is no address."""
    if kind == "email":
        return {"address": read_email(address), "url": None}
    url = read_webhook_url(address)
    return {"address": url.origin, "url": vault.seal(url.text, _place(target_id, "url"))}


def destination_of(vault: Vault, row: RowMapping) -> Destination:
    """Where the notices of a row go. Raises NotDeliveredError when the key ring does not open what is sealed in it."""
    if row["kind"] == "email":
        return Destination("email", row["address"])
    try:
        url = vault.open(row["url"] or b"", _place(row["id"], "url"))
        secret = vault.open(row["secret"] or b"", _place(row["id"], "secret"))
    except EnvelopeError:
        raise NotDeliveredError(
            "The URL or the secret of this webhook does not open with this server's key ring: restore the ring from "
            "its back-up copy, or make the target anew."
        ) from None
    return Destination("webhook", url, secret)


def _place(target_id: str, column: str) -> Place:
    return Place(NOTICE_TARGETS.name, target_id, column)
