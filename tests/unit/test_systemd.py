"""sd_notify: what is taken from the environment, what is said, and that no failure of it is felt."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agent.systemd import STATUS_MAX_CHARS, ServiceNotifier
from tests.kit.notify_manager import NotifyListener
from tests.kit.until import until

PID = 4711
VARIABLES = {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(PID)}


@pytest.mark.parametrize("is_abstract", [False, True])
async def test_what_is_said_arrives(tmp_path: Path, is_abstract: bool) -> None:
    async with NotifyListener(None if is_abstract else tmp_path) as double:
        manager = ServiceNotifier.take(double.environ(), PID)
        began_usec = time.monotonic_ns() // 1000
        manager.ready("all is\nwell\x00")
        manager.status("x" * 2 * STATUS_MAX_CHARS)
        with pytest.raises(ZeroDivisionError), manager.reloading():
            raise ZeroDivisionError
        manager.alive()
        manager.stopping("draining")
        await double.message(lambda said: "STOPPING" in said)
        manager.close()
        manager.status("nobody hears this")
    ready, status, reloading, again, alive, stopping = double.messages
    assert ready == {"READY": "1", "STATUS": "all is well\x00"}
    assert status == {"STATUS": "x" * STATUS_MAX_CHARS}
    assert reloading.pop("RELOADING") == "1"
    assert began_usec <= int(reloading.pop("MONOTONIC_USEC")) <= time.monotonic_ns() // 1000
    assert (reloading, again, alive) == ({}, {"READY": "1"}, {"WATCHDOG": "1"})
    assert stopping == {"STOPPING": "1", "STATUS": "draining"}


@pytest.mark.parametrize(
    ("variables", "watchdog_s"),
    [
        (VARIABLES, 30.0),
        ({"WATCHDOG_USEC": "1500000"}, 1.5),
        ({**VARIABLES, "WATCHDOG_PID": "1"}, None),
        ({**VARIABLES, "WATCHDOG_USEC": "0"}, None),
        ({**VARIABLES, "WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_that_of_this_process_and_no_child_inherits_it(
    variables: dict[str, str], watchdog_s: float | None
) -> None:
    environ = {"NOTIFY_SOCKET": "/run/systemd/notify", "PATH": "/bin", **variables}
    manager = ServiceNotifier.take(environ, PID)
    assert manager.watchdog_s == watchdog_s
    assert environ == {"PATH": "/bin"}
    manager.close()


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "notify"])
def test_without_a_socket_of_the_manager_there_is_none(address: str) -> None:
    environ = {"NOTIFY_SOCKET": address, **VARIABLES}
    manager = ServiceNotifier.take(environ, PID)
    assert not manager.is_there
    assert manager.watchdog_s is None
    assert environ == {}
    manager.ready()


async def test_a_manager_that_is_gone_or_reads_nothing_is_not_felt(tmp_path: Path) -> None:
    gone = ServiceNotifier(str(tmp_path / "nobody"))
    gone.ready()
    gone.close()
    async with NotifyListener(tmp_path) as double:
        manager = ServiceNotifier.take(double.environ(), PID)
        began = time.monotonic()
        for _ in range(2000):  # far more than its queue takes: the double reads only when this test waits
            manager.alive()
        assert time.monotonic() - began < 5
        await until(lambda: bool(double.messages))
        manager.ready()
        await double.message(lambda said: "READY" in said)
        assert len(double.messages) < 2000
        manager.close()
