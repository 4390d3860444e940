"""Addresses that cannot be listened on: the sentence names what failed, why, and the option that changes it."""

from __future__ import annotations

import errno
import socket

import pytest

from agent.server.addresses import why_not_listening


@pytest.mark.parametrize(
    ("error", "port", "words"),
    [
        (OSError(errno.EACCES, "x"), 443, "(Permission denied): ports below 1024 need root or CAP_NET_BIND_SERVICE"),
        (OSError(errno.EACCES, "x"), 8080, "(Permission denied): name another address"),
        (OSError(errno.EADDRINUSE, "('::', 80): in use"), 8080, "(Address already in use): stop the program"),
        (OSError(errno.EADDRNOTAVAIL, "x"), 8080, "this machine does not have that address"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), 80, "(Name or service not known): name an"),
    ],
)
def test_why_an_address_cannot_be_listened_on(error: OSError, port: int, words: str) -> None:
    said = why_not_listening("The gateway", "h", port, error, option="--gateway-listen", setting="gateway.listen")
    assert said.startswith(f"The gateway cannot listen on h:{port} (")
    assert words in said
    assert said.endswith(" with --gateway-listen or gateway.listen.")
