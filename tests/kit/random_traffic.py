"""Random traffic over channels of one SSH connection: what was written on one end is what the other one has read."""

from __future__ import annotations

import asyncio
import random

from tests.kit.ssh_pair import Pair, Recorder
from tests.kit.until import until

_SIZES = (1, 2, 3, 15, 16, 17, 100, 1024, 4096, 16_383, 32_767, 32_768, 32_769, 70_000)
_WEIGHTS = (4, 2, 2, 2, 2, 2, 8, 8, 4, 1, 1, 1, 1, 1)
_CHANNELS = 4
_OTHER_PACKETS_EVERY = 23


async def random_traffic(pair: Pair, seed: int, packets: int) -> None:
    """Write about ``packets`` times in an order that ``seed`` gives; AssertionError when a byte is not the same.

    Channels open, pause, end by EOF and close in between, and asyncssh sends packets of its own.
    """
    draw = random.Random(seed)
    noise = draw.randbytes(1 << 17)
    live: list[tuple[Recorder, Recorder, dict[Recorder, bytearray]]] = []
    for number in range(packets):
        if len(live) < _CHANNELS:
            near, far = await pair.channel(window=draw.choice((1 << 15, 1 << 16, 1 << 21)))
            live.append((near, far, {near: bytearray(), far: bytearray()}))
        near, far, written = draw.choice(live)
        sender = draw.choice((near, far))
        at = draw.randrange(1 << 16)
        data = noise[at : at + draw.choices(_SIZES, _WEIGHTS)[0]]
        sender.channel.write(data)
        written[sender] += data
        match draw.randrange(40):
            case 0:
                sender.channel.pause_reading()
            case 1:
                sender.channel.resume_reading()
            case 2 | 3 | 4 | 5:
                await asyncio.sleep(0)
            case 6:
                await _finish(near, far, written)
                live.remove((near, far, written))
        if number % _OTHER_PACKETS_EVERY == 0:
            draw.choice((pair.client, pair.server)).conn.send_debug("between", "", always_display=False)
    for near, far, written in live:
        await _finish(near, far, written)


async def _finish(near: Recorder, far: Recorder, written: dict[Recorder, bytearray]) -> None:
    for session in (near, far):
        session.channel.resume_reading()
        session.channel.write_eof()
    await until(lambda: near.ended[:1] == far.ended[:1] == ["eof"])
    for reader, writer in ((near, far), (far, near)):
        assert len(reader.received) == len(written[writer])
        assert reader.received == written[writer]
        reader.channel.close()
    await until(lambda: near.ended == far.ended == ["eof", "NoneType"])
