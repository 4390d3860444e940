"""A channel that fails in the moment in which it opens: whoever waits for it hears so, and never waits for ever."""

from __future__ import annotations

from typing import Any

import asyncssh
import pytest
from asyncssh.packet import String

from tests.kit.raw_agent import raw_control, raw_hello
from tests.kit.ssh_servers import CollectingSession, TunnelServer


async def test_an_agent_that_consents_in_words_of_its_own(
    server: TunnelServer, conn: asyncssh.SSHClientConnection
) -> None:
    control = await raw_control(conn)
    control.say(raw_hello())
    await control.answer("welcome")
    (tunnel,) = await server.wait_tunnels(1)
    await tunnel.open_channel(CollectingSession())  # which was opened early
    raw: Any = conn
    consent = raw.send_channel_open_confirmation
    raw.send_channel_open_confirmation = lambda *arguments: consent(*arguments, String("more"))
    with pytest.raises(asyncssh.ChannelOpenError):
        await tunnel.open_channel(CollectingSession())
