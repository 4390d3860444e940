"""A proxy did not lead to the server. Pure: no I/O."""

from __future__ import annotations

from agent.tunnel.proxy_route import ProxyRoute


class ProxyError(OSError):
    """``str(error)`` is one whole sentence: which proxy, what it did, what to do next; never a login.

    ``needs_a_person`` is True when trying again soon cannot help: a login that is missing or wrong, a rule of the
    proxy against this server or port.
    """

    def __init__(self, route: ProxyRoute, clause: str, *, needs_a_person: bool = False) -> None:
        super().__init__(f"The proxy {route} {clause}.")
        self.needs_a_person = needs_a_person
