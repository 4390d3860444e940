"""Name lookups in threads of their own, so that a name server that does not answer delays its own names only.

The loops' own pools are small (libuv lets two threads do slow work) and shared by everything, and a lookup that nobody
waits for any more still keeps its thread, until the resolver gives up: 20 s and more.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import queue
import socket
import threading
from typing import Final

THREADS_MAX: Final = 64

_Key = tuple[asyncio.AbstractEventLoop, str, int]

_jobs: Final[queue.SimpleQueue[tuple[_Key, asyncio.Future[tuple[str, ...]]]]] = queue.SimpleQueue()
_free = threading.Semaphore(0)  # threads that wait for a job
_threads: Final[list[threading.Thread]] = []
_running: Final[dict[_Key, asyncio.Future[tuple[str, ...]]]] = {}


async def resolve(host: str, port: int) -> tuple[str, ...]:
    """The addresses of ``host`` for TCP, in the order of the system's resolver; an address is its own answer.

    Callers that ask for the same name at the same time share one lookup; nothing is kept beyond that. Cancelling a
    caller leaves the lookup to the others. Raises ``OSError`` when the name does not resolve, ``ValueError`` when it
    is none.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return (host,)
    loop = asyncio.get_running_loop()
    key = (loop, host, port)
    found = _running.get(key)
    if found is None:
        found = _running[key] = loop.create_future()
        _jobs.put((key, found))
        if not _free.acquire(blocking=False) and len(_threads) < THREADS_MAX:
            # A daemon: one that is stuck in the resolver must not keep the process from ending.
            thread = threading.Thread(target=_work, name=f"dns-{len(_threads)}", daemon=True)
            _threads.append(thread)
            thread.start()
    return await asyncio.shield(found)


def _work() -> None:
    while True:
        key, found = _jobs.get()
        loop, host, port = key
        answer: tuple[str, ...] | BaseException
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer = tuple(dict.fromkeys(str(entry[4][0]) for entry in entries))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to those who wait for the answer
            answer = error
        try:
            loop.call_soon_threadsafe(_finish, key, found, answer)
        except RuntimeError:  # the loop was closed meanwhile: nobody waits
            with contextlib.suppress(KeyError):
                del _running[key]
        # Or this thread would keep the loop and its answer until the next job.
        del key, found, loop, answer
        _free.release()


def _finish(key: _Key, found: asyncio.Future[tuple[str, ...]], answer: tuple[str, ...] | BaseException) -> None:
    del _running[key]
    if found.done():
        return
    if isinstance(answer, BaseException):
        found.set_exception(answer)
    else:
        found.set_result(answer)
