"""The same machine later on: upgraded under load, a second agent beside the first, and everything taken away again."""

from __future__ import annotations

import json
import re

import pytest

from tests.booted.shop_machine import AGENT, NEWER, SERVER, SETTINGS_FILE, SOCKETS, TOKEN_FILE, UNIT, ShopMachine

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

SECOND = f"{AGENT}@second.service"
EXPOSURE_MAX = 1.5

# What systemd itself keeps while a machine runs: when a timer was last due, a seed of random numbers.
NOT_OURS = re.compile(r" var/lib/systemd(/|$)")


def test_an_upgrade_under_load_loses_no_request(machine: ShopMachine) -> None:
    settings = machine.booted.folder / SETTINGS_FILE
    before, token = settings.read_text(), machine.booted.folder / TOKEN_FILE
    pids = {unit: machine.pid(unit) for unit in (UNIT, f"{SERVER}.service")}
    secret = token.read_text()
    with machine.load() as load:
        machine.install(f"{AGENT}-newer")
        machine.install(f"{SERVER}-newer")
        machine.await_tunnels()
    print(f"\nupgraded under load: {load.sent} requests, 0 failed, the longest wait {max(load.waits_s):.1f} s")
    for unit, pid in pids.items():
        assert machine.pid(unit) not in (0, pid), f"{unit} runs the new version"
    assert (settings.read_text(), token.read_text()) == (before, secret)
    assert json.loads(machine.booted.out(AGENT, "status", "--json"))["version"] == NEWER
    [found] = [each for each in machine.server("agents", "list") if each["name"] == "shop"]
    assert (found["state"], found["version"]) == ("online", NEWER)
    assert machine.exchange("sample").status == 200


def test_a_second_agent_runs_beside_the_first(machine: ShopMachine) -> None:
    token = machine.make_agent("other")
    url = machine.open_sample_store()
    machine.make_connections("other", url, "second")
    command = (AGENT, "enroll", "--instance", "second", "--token-stdin", "--store", url, "--yes", "--enable")
    machine.booted.out(*command, stdin=token, timeout_s=90)
    machine.await_tunnels(SECOND)
    assert machine.exchange("second").status == 200
    machine.systemctl("stop", UNIT)
    assert machine.exchange("second").status == 200, "it does not live on the first one's tunnels"
    machine.systemctl("start", UNIT)
    machine.await_tunnels()
    instances = [file.read_text() for file in (machine.booted.folder / "var/lib" / AGENT).rglob("instance-id")]
    assert len(set(instances)) == 2, "each has a state of its own"
    machine.booted.out(AGENT, "unenroll", "--instance", "second", "--yes", "--purge-settings", timeout_s=90)
    assert machine.shown(SECOND, "ActiveState")["ActiveState"] == "inactive"


def test_what_it_takes(machine: ShopMachine) -> None:
    machine.systemctl("restart", UNIT)
    machine.await_tunnels()
    names = ("InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    started_usec, ready_usec = map(int, machine.shown(UNIT, *names).values())
    resident_kb = machine.process_status(machine.pid())["VmRSS"]
    scores = {}
    for unit in (UNIT, SECOND, f"{SERVER}.service"):
        said = machine.booted.out("systemd-analyze", "security", "--no-pager", unit)
        scores[unit] = float(re.findall(r"exposure level for .*: ([0-9.]+)", said)[0])
    print(
        f"\nidle agent: {resident_kb} resident, {abs(ready_usec - started_usec) / 1e6:.2f} s from start to READY;"
        f" exposure {scores}"
    )
    assert scores[UNIT] <= EXPOSURE_MAX
    assert set(scores.values()) == {scores[UNIT]}


def test_nothing_is_left(machine: ShopMachine) -> None:
    machine.booted.out(AGENT, "unenroll", "--yes", "--purge-settings", timeout_s=90)
    assert machine.shown(UNIT, "ActiveState", "UnitFileState") == {
        "ActiveState": "inactive",
        "UnitFileState": "disabled",
    }
    of_agent = [file for top in ("etc", "var/lib") for file in (machine.booted.folder / top / AGENT).glob("**/*")]
    assert of_agent == []
    assert machine.booted.run("test", "-e", f"/run/{AGENT}").code == 1
    machine.systemctl("disable", "--now", f"{SERVER}.service", *SOCKETS)
    machine.drop_nothing_in(f"{SERVER}.service")
    machine.booted.out("dpkg", "--purge", AGENT, SERVER)
    after = machine.files()
    assert sorted(line for line in after ^ machine.before if not NOT_OURS.search(line)) == []
    assert machine.people() == machine.people_before
    assert machine.booted.out("find", "/run", "-name", f"{AGENT}*", "-o", "-name", f"{SERVER}*") == ""
    units = machine.systemctl("list-unit-files", "--all", "--no-legend") + machine.systemctl(
        "list-units", "--all", "--plain"
    )
    # The slice that systemd made for the template's instances is its own, and empty until the next boot.
    left = [line for line in units.splitlines() if ".slice " not in line]
    assert [line for line in left if AGENT in line or SERVER in line] == []
