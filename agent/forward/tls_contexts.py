"""TLS contexts towards stores, made once for all stores that trust the same."""

from __future__ import annotations

import ssl
from pathlib import Path

from agent.forward.target import tls_context
from agent.store_url import Store


class TlsContexts:
    """Those of one reading of the settings; another reading has its own, so that changed CA files are read anew.

    One that trusts the system's authorities takes 22 ms and 0.8 MB: with a context for each of 512 stores a reload
    stopped the event loop for 20 s, and needed more memory than the service may have.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[Path | None, bool], ssl.SSLContext | None] = {}

    def __repr__(self) -> str:
        return f"<TlsContexts {len(self._made)}>"

    def of(self, store: Store, ca_file: Path | None, *, verify: bool) -> ssl.SSLContext | None:
        """As ``tls_context``, which says what is raised."""
        if store.scheme != "https":
            return None
        key = (ca_file, verify)
        if key not in self._made:
            self._made[key] = tls_context(store, ca_file, verify=verify)
        return self._made[key]
