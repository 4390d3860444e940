"""The two pauses of one channel and the turns of all on a full link, without SSH."""

from __future__ import annotations

from agent.tunnel.channel import ChannelSession
from agent.tunnel.flow import LinkFlow, LinkLimits
from tests.kit.ssh_servers import EchoSession

MIB = 1 << 20


class Window:
    """As much of an SSH channel as a session looks at before anything comes."""

    _send_window = 2 * MIB
    _send_pktsize = 32 * 1024

    def _flush_recv_buf(self, exc: Exception | None = None) -> None:
        pass


class FakeConn:
    """A connection as far as LinkFlow looks at one."""

    def __init__(self) -> None:
        self.aborted = False
        self.size = 0

    def get_extra_info(self, name: str) -> object:
        return self

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return self.size

    def abort(self) -> None:
        self.aborted = True


class Paused(EchoSession):
    """Notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")


async def test_a_session_hears_of_the_sum_of_both_pauses() -> None:
    flow = LinkFlow(FakeConn(), LinkLimits())  # type: ignore[arg-type]  # a double of the connection
    session = Paused()
    channel = ChannelSession(session, flow)
    channel.connection_made(Window())  # type: ignore[arg-type]  # a double of the channel
    channel.pause_writing()
    flow.pause_writing()
    channel.resume_writing()
    assert session.calls == ["pause"]
    flow.resume_writing()
    assert session.calls == ["pause", "resume"]
    flow.pause_writing()
    channel.pause_writing()
    flow.resume_writing()
    assert session.calls == ["pause", "resume", "pause"]
    channel.resume_writing()
    assert session.calls == ["pause", "resume", "pause", "resume"]


async def test_a_channel_opened_on_a_full_link_begins_paused() -> None:
    flow = LinkFlow(FakeConn(), LinkLimits())  # type: ignore[arg-type]  # a double of the connection
    flow.pause_writing()
    session = Paused()
    ChannelSession(session, flow).connection_made(Window())  # type: ignore[arg-type]  # a double of the channel
    assert session.calls == ["pause"]
    flow.resume_writing()
    assert session.calls == ["pause", "resume"]


class Greedy(Paused):
    """Fills the link whenever it may write, ``burst`` bytes at a time; with ``burst`` 0 it has nothing to say."""

    def __init__(self, flow: LinkFlow, name: str, burst: int, turns: list[str]) -> None:
        super().__init__()
        self.flow = flow
        self.name = name
        self.burst = burst
        self.turns = turns
        self.window = Window()

    def resume_writing(self) -> None:
        if self.burst:
            self.turns.append(self.name)
            self.window._send_window -= self.burst
            if self.burst > 1000:
                self.flow.pause_writing()


def greedy(flow: LinkFlow, turns: list[str], **bursts: int) -> dict[str, Greedy]:
    sessions = {name: Greedy(flow, name, burst, turns) for name, burst in bursts.items()}
    for session in sessions.values():
        ChannelSession(session, flow).connection_made(session.window)  # type: ignore[arg-type]  # a double of the channel
    flow.pause_writing()
    return sessions


async def test_greedy_channels_take_turns_on_a_full_link() -> None:
    flow = LinkFlow(FakeConn(), LinkLimits())  # type: ignore[arg-type]  # a double of the connection
    turns: list[str] = []
    greedy(flow, turns, a=100_000, b=100_000, c=100_000)
    for _ in range(9):
        flow.resume_writing()
    assert turns == ["a", "b", "c"] * 3


async def test_a_channel_that_sends_little_has_the_first_turn() -> None:
    """Also when it has just had one, and its greedy neighbours have waited longer."""
    flow = LinkFlow(FakeConn(), LinkLimits())  # type: ignore[arg-type]  # a double of the connection
    turns: list[str] = []
    sessions = greedy(flow, turns, a=100_000, b=100_000, small=0)
    for _ in range(6):
        flow.resume_writing()
    for _ in range(3):
        turns.clear()
        sessions["small"].burst = 200
        flow.resume_writing()
        assert turns[0] == "small"
        assert len(turns) == 2, "and a greedy one after it, in the same turn"


async def test_a_channel_that_was_silent_has_saved_nothing_up() -> None:
    flow = LinkFlow(FakeConn(), LinkLimits())  # type: ignore[arg-type]  # a double of the connection
    turns: list[str] = []
    sessions = greedy(flow, turns, a=100_000, late=0)
    for _ in range(50):
        flow.resume_writing()
    turns.clear()
    sessions["late"].burst = 100_000
    for _ in range(8):
        flow.resume_writing()
    assert turns.count("a") >= 3


async def test_a_window_that_was_opened_anew_counts_as_much_sent() -> None:
    flow = LinkFlow(FakeConn(), LinkLimits())  # type: ignore[arg-type]  # a double of the connection
    turns: list[str] = []
    sessions = greedy(flow, turns, a=100_000, b=100_000)
    flow.resume_writing()
    sessions["a"].window._send_window = 2 * MIB
    for _ in range(3):
        flow.resume_writing()
    assert turns == ["a", "b", "b", "b"]


async def test_a_backlog_that_no_pause_stops_ends_the_connection() -> None:
    conn = FakeConn()
    flow = LinkFlow(conn, LinkLimits(backlog_max_bytes=1000))  # type: ignore[arg-type]  # a double of the connection
    flow.pause_writing()
    assert [conn.aborted] == [False]
    conn.size = 1001
    flow.pause_writing()
    assert [conn.aborted] == [True]
    flow.resume_writing()
