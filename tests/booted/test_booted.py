"""The packages in a booted Debian without network and pip, in the order of a life; each test goes on from the last."""

from __future__ import annotations

import json

import pytest

from tests.booted.sandbox import caps, probe, probe_memory
from tests.booted.sandbox_probe import FORBIDDEN
from tests.booted.shop_machine import AGENT, SERVER, SETTINGS_FILE, SOCKETS, TOKEN_FILE, UNIT, ShopMachine
from tests.e2e.restarts import SLUGS

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

MANUFACTURER = "<prestashop><manufacturer><active>1</active><name>Atelier</name></manufacturer></prestashop>"


def test_installing_starts_nothing(machine: ShopMachine) -> None:
    machine.install(AGENT, SERVER)
    for unit in (UNIT, f"{SERVER}.service", *SOCKETS):
        assert machine.shown(unit, "LoadState", "ActiveState", "UnitFileState") == {
            "LoadState": "loaded",
            "ActiveState": "inactive",
            "UnitFileState": "disabled",
        }, unit
    machine.systemctl("start", UNIT)
    assert machine.shown(UNIT, "ActiveState", "ConditionResult") == {"ActiveState": "inactive", "ConditionResult": "no"}
    # Not systemctl --failed alone: a start that was tried and given up has results, too.
    assert machine.shown(UNIT, "Result", "NRestarts") == {"Result": "success", "NRestarts": "0"}


def test_server_runs_as_it_is_told(machine: ShopMachine) -> None:
    # The 200 requests that may wait for an agent are 4 s of the load below, and a busy machine takes longer to upgrade.
    machine.drop_in(f"{SERVER}.service", "[Service]", "Environment=INTEGRATION_SERVER_GATEWAY__PARKED_MAX=2000")
    machine.systemctl("enable", "--now", *SOCKETS, f"{SERVER}.service")
    assert machine.shown(f"{SERVER}.service", "Type", "ActiveState") == {"Type": "notify", "ActiveState": "active"}
    machine.token = machine.make_agent("shop")
    machine.sample_url = machine.open_sample_store()
    machine.make_connections("shop", machine.sample_url, "sample")
    machine.key = machine.server("client-keys", "create", "--all")["key"]


def test_enrolled_in_one_command(machine: ShopMachine) -> None:
    command = (AGENT, "enroll", "--token-stdin", "--store", machine.sample_url, "--write", "--yes", "--enable")
    said = machine.booted.out(*command, stdin=machine.token + "\n", timeout_s=90)
    assert "Enrolled." in said
    assert machine.token not in said
    shown = machine.shown(UNIT, "Type", "ActiveState", "UnitFileState", "User", "StatusText")
    assert machine.await_tunnels().startswith("2 of 2 tunnels up")
    assert {key: shown[key] for key in ("Type", "ActiveState", "UnitFileState", "User")} == {
        "Type": "notify",
        "ActiveState": "active",
        "UnitFileState": "enabled",
        "User": AGENT,
    }
    assert "Status: " in machine.systemctl("status", UNIT)
    token = machine.booted.folder / TOKEN_FILE
    assert (token.stat().st_mode & 0o7777, token.stat().st_uid, token.stat().st_gid) == (0o600, 0, 0)
    as_agent = ("setpriv", f"--reuid={AGENT}", f"--regid={AGENT}", "--clear-groups", "cat")
    assert "Permission denied" in machine.booted.run(*as_agent, f"/{TOKEN_FILE}").err
    assert "Permission denied" not in machine.booted.run(*as_agent, f"/{SETTINGS_FILE}").err, "the user is the cause"


def test_exchanges_reach_the_store(machine: ShopMachine) -> None:
    read = machine.exchange("sample")
    assert (read.status, b"<product " in read.body) == (200, True)
    written = machine.exchange("sample", "POST", "/api/manufacturers", MANUFACTURER)
    assert (written.status, b"Atelier" in written.body) == (201, True)


def test_the_sandbox_is_in_force(machine: ShopMachine) -> None:
    status, first = machine.process_status(machine.pid()), machine.process_status(1)
    assert (status["NoNewPrivs"], status["Seccomp"], status["CoreDumping"]) == ("1", "2", "0")
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")} == {0}
    assert int(status["Seccomp_filters"]) > int(first["Seccomp_filters"]), "more than the container's own"
    shown = machine.shown(UNIT, "MemoryMax", "TasksMax")
    assert caps(machine, UNIT) == (int(shown["MemoryMax"]), int(shown["TasksMax"]))

    inside, outside = probe(machine)
    assert outside["succeeded"] == list(FORBIDDEN), "as root and without the unit all of it is possible"
    assert inside["succeeded"] == []
    assert (inside["token"], inside["uid"]) == (True, int(machine.booted.out("id", "-u", AGENT)))
    assert inside["threads"] < int(shown["TasksMax"]) < outside["threads"]
    assert probe_memory(machine) == {"ExecMainCode": "2", "ExecMainStatus": "9"}, "killed, not ended by itself"


def test_reload_opens_a_store_and_disturbs_nothing(machine: ShopMachine) -> None:
    shop_url = machine.open_shop()
    machine.make_connections("shop", shop_url, *SLUGS)
    machine.booted.out(AGENT, "stores", "add", shop_url, "--write")
    assert machine.exchange(SLUGS[0]).status == 200, "in force when the command returns"
    pid = machine.pid()
    with machine.load():
        said = json.loads(machine.booted.out(AGENT, "stores", "add", "https://shop.example.com/", "--json"))
        assert said["changed"] is True
        machine.systemctl("reload", UNIT)
    assert machine.pid() == pid
    assert "Reloading" in machine.journal(UNIT)
    settings = machine.booted.folder / SETTINGS_FILE
    good = settings.read_text()
    settings.write_text(good + "\nbroken = [")
    assert machine.booted.run("systemctl", "reload", UNIT).code != 0, "refused settings are told"
    settings.write_text(good)
    assert (machine.pid(), machine.exchange(SLUGS[0]).status) == (pid, 200), "those from before stay"


def test_the_watchdog_ends_what_stands_still(machine: ShopMachine) -> None:
    machine.drop_in(UNIT, "[Service]", "WatchdogSec=3", "TimeoutAbortSec=1")
    machine.systemctl("restart", UNIT)
    machine.await_tunnels()
    pid, restarts = machine.pid(), int(machine.shown(UNIT, "NRestarts")["NRestarts"])
    machine.booted.out("sh", "-c", f"kill -STOP {pid}")
    assert machine.await_shown(UNIT, "NRestarts", str(restarts + 1))
    machine.await_tunnels()
    assert machine.pid() not in (0, pid)
    assert "Watchdog timeout" in machine.journal(UNIT)
    assert "result 'watchdog'" in machine.journal(UNIT)
    assert machine.exchange("sample").status == 200
    machine.drop_nothing_in(UNIT)
    machine.systemctl("restart", UNIT)
    machine.await_tunnels()


def test_settings_that_cannot_work_are_not_tried_again(machine: ShopMachine) -> None:
    settings = machine.booted.folder / SETTINGS_FILE
    good = settings.read_text()
    settings.write_text('tunnels = "many"\n' + good)
    assert machine.booted.run("systemctl", "restart", UNIT).code != 0
    shown = machine.shown(UNIT, "ActiveState", "SubState", "Result", "ExecMainStatus")
    assert shown == {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code", "ExecMainStatus": "78"}
    said = [
        line for line in machine.journal(UNIT).splitlines() if "tunnels" in line and "/etc/prestashop-agent" in line
    ]
    assert said, "where and what is wrong is in the journal"
    settings.write_text(good)
    machine.systemctl("start", UNIT)
    machine.await_tunnels()
    assert machine.exchange("sample").status == 200
