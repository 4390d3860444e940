"""What a unit may do: its own restrictions, applied by the booted systemd to the probe in place of the agent."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.booted.shop_machine import UNIT, ShopMachine

_PROBE: Final = "sandbox-probe.service"
_COMMAND: Final = ("/usr/bin/python3", "/srv/sandbox_probe.py")
_SEEN: Final = ("/home/seen", "/root/seen", "/tmp/seen")


def caps(machine: ShopMachine, unit: str) -> tuple[int, int]:
    """Bytes of memory and number of tasks that the kernel allows the group in which the unit's process is."""
    group = machine.shown(unit, "ControlGroup")["ControlGroup"]
    unified = machine.booted.is_unified
    memory = f"/sys/fs/cgroup{group}/memory.max" if unified else f"/sys/fs/cgroup/memory{group}/memory.limit_in_bytes"
    tasks = f"/sys/fs/cgroup{'' if unified else '/pids'}{group}/pids.max"
    for cap in (memory, tasks):
        members = machine.booted.out("cat", f"{cap.rpartition('/')[0]}/cgroup.procs").split()
        assert str(machine.pid(unit)) in members, f"{unit} is not under {cap}"
    return int(machine.booted.out("cat", memory)), int(machine.booted.out("cat", tasks))


def probe(machine: ShopMachine) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the probe reports from the agent's unit, and as root without any."""
    machine.booted.out("touch", *_SEEN)
    try:
        _run_in_unit(machine)
        [line] = [line for line in machine.journal(_PROBE).splitlines() if line.startswith("{")]
        return json.loads(line), json.loads(machine.booted.out(*_COMMAND))
    finally:
        machine.booted.out("rm", *_SEEN)


def probe_memory(machine: ShopMachine) -> dict[str, str]:
    """How it ends in the agent's unit when it takes more memory than it may."""
    _run_in_unit(machine, "memory")
    return machine.shown(_PROBE, "ExecMainCode", "ExecMainStatus")


def _run_in_unit(machine: ShopMachine, *arguments: str) -> None:
    machine.booted.out("cp", f"/lib/systemd/system/{UNIT}", f"/run/systemd/system/{_PROBE}")
    once = ("Type=oneshot", "Restart=no", "WatchdogSec=0", "ExecReload=")
    machine.drop_in(_PROBE, "[Service]", *once, "ExecStart=", f"ExecStart={' '.join((*_COMMAND, *arguments))}")
    machine.booted.run("systemctl", "start", _PROBE)
