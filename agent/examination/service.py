"""The agent that runs on this machine: does it answer, is its systemd unit well, has it enough files and what runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import agent
from agent.cli.local_client import RefusedError, ask_agent, usual_places
from agent.cli.status_codes import NotRunningError, UnknownStateError
from agent.doctor.finding import OwnLayer
from agent.examination.machine import Given
from agent.examination.notes import Notes
from agent.examination.versions import read_versions
from agent.tunnel.text import printable

UNIT: Final = "prestashop-agent.service"
SYSTEMCTL_LIMIT_S: Final = 5.0

_PROPERTIES: Final = "LoadState,ActiveState,SubState,UnitFileState,Result,ExecMainStatus,NRestarts"
_SPARE_FILES: Final = 64  # what the program has open besides tunnels and stores

Report = Mapping[str, Any]


async def ask_running(given: Given, environ: Mapping[str, str]) -> Report:
    """The status of the running agent. Raises as ``ask_agent``."""
    named = given.settings is not None and given.settings.runtime_dir is not None
    elsewhere = () if named else usual_places(environ, os.geteuid())
    return await asyncio.to_thread(ask_agent, given.places.runtime_dir, "status", elsewhere=elsewhere)


async def look_at_process(given: Given, environ: Mapping[str, str], holder: int | None, notes: Notes) -> Report | None:
    """Ask the running agent; its report, or None. ``holder`` is the process that has the state directory."""
    notes.begin()
    layer = OwnLayer.PROCESS
    try:
        report = await ask_running(given, environ)
    except NotRunningError:
        if holder is not None:
            notes.warning(
                layer,
                "agent_without_socket",
                f"Process {holder} uses the state directory, but no agent answers at {given.places.runtime_dir}.",
                "Name the runtime_dir that it was started with in the settings, or restart it.",
            )
        else:
            notes.warning(
                layer,
                "agent_not_running",
                "No prestashop-agent is running here.",
                "Run systemctl enable --now prestashop-agent, or by hand prestashop-agent run -v.",
            )
        return None
    except (UnknownStateError, RefusedError) as error:
        finding, _, remedy = str(error).partition(": ")
        notes.warning(layer, "agent_not_asked", f"{finding}.", remedy[:1].upper() + remedy[1:])
        return None
    _tell_report(report, notes)
    return report


def _tell_report(report: Report, notes: Notes) -> None:
    """The agent may be of another version, whose report has other fields."""
    layer = OwnLayer.PROCESS
    state, version = (printable(str(report.get(key, "unknown"))) for key in ("state", "version"))
    pid = int(report.get("pid", 0))
    tunnels: list[Report] = report.get("tunnels", [])
    ready = sum(tunnel.get("state") == "ready" for tunnel in tunnels)
    facts = {"pid": pid, "state": state, "version": version, "tunnels": len(tunnels), "ready": ready}
    finding = f"Process {pid} is {state}, {ready} of {len(tunnels)} tunnels up."
    if version != agent.__version__:
        notes.warning(
            layer,
            "agent_other_version",
            f"Process {pid} is still version {version}; installed is {agent.__version__}.",
            "Restart it: systemctl restart prestashop-agent loses no request.",
            facts=facts,
        )
    elif ready == 0 and state not in {"starting", "draining"}:
        ending: Report | None = next((tunnel["last_ending"] for tunnel in tunnels if tunnel.get("last_ending")), None)
        why = f" The last attempt ended with {printable(str(ending.get('reason')))}." if ending else ""
        notes.warning(
            layer,
            "agent_not_connected",
            f"{finding}{why}",
            "The server's part below says why; prestashop-agent status shows when it tries again.",
            facts=facts,
        )
    else:
        notes.ok(layer, finding, facts=facts)


async def look_at_service(environ: Mapping[str, str], notes: Notes) -> None:
    """Ask systemd for the unit, where there is one."""
    notes.begin()
    layer = OwnLayer.SERVICE
    unit = await _unit(environ)
    if unit is None:
        notes.skipped(layer, "Not looked at: systemd cannot be asked here.")
    elif unit.get("LoadState") != "loaded":
        notes.skipped(layer, f"There is no unit {UNIT}: run by hand, or in a container.")
    elif unit.get("ActiveState") == "failed":
        why = f"result {unit.get('Result', '')}, exit code {unit.get('ExecMainStatus', '')}"
        notes.failed(
            layer,
            "service_failed",
            f"The unit {UNIT} failed ({why}).",
            "Look why (journalctl -u prestashop-agent -n 50), mend it, and systemctl restart prestashop-agent. Code 78 "
            "means settings or token.",
        )
    elif unit.get("SubState") == "auto-restart":
        notes.warning(
            layer,
            "service_restarting",
            f"The unit {UNIT} ends and is started again and again (so far {unit.get('NRestarts', '?')} times).",
            "Look why: journalctl -u prestashop-agent -n 50.",
        )
    elif unit.get("ActiveState") not in {"active", "activating", "reloading"}:
        notes.warning(
            layer, "service_stopped", f"The unit {UNIT} is not started.", "systemctl enable --now prestashop-agent"
        )
    elif unit.get("UnitFileState") == "disabled":
        notes.warning(
            layer,
            "service_not_enabled",
            f"The unit {UNIT} runs, but will not start with the machine.",
            "systemctl enable prestashop-agent",
        )
    else:
        notes.ok(layer, f"The unit {UNIT} is {unit.get('ActiveState')} and starts with the machine.")


async def _unit(environ: Mapping[str, str]) -> dict[str, str] | None:
    """The unit's properties; None where systemd cannot be asked."""
    program = shutil.which("systemctl", path=environ.get("PATH"))
    if program is None:
        return None
    asked = await asyncio.create_subprocess_exec(
        program,
        "show",
        f"--property={_PROPERTIES}",
        UNIT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(SYSTEMCTL_LIMIT_S):
            answer, _ = await asked.communicate()
    except TimeoutError:
        return None
    finally:
        if asked.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                asked.kill()
            await asked.wait()
    if asked.returncode != 0:
        return None
    lines = printable(answer.decode("utf-8", "replace").replace("\n", " "), 2000).split()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def look_at_open_files(given: Given, report: Report | None, notes: Notes) -> None:
    """Compare the limit of open files with what the settings can use."""
    notes.begin()
    layer = OwnLayer.OPEN_FILES
    if given.settings is None:
        notes.skipped(layer, "Not looked at: it depends on the settings.")
        return
    needed = _SPARE_FILES + given.settings.tunnels + sum(store.max_connections for store in given.settings.stores)
    limit = _limit_of(report.get("pid")) if report is not None else None
    whose = "The running agent" if limit is not None else "A program of this user"
    limit = limit if limit is not None else resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    shown = "any number of" if limit == resource.RLIM_INFINITY else str(limit)
    facts = {"limit": limit, "needed": needed}
    if limit != resource.RLIM_INFINITY and limit < needed:
        notes.warning(
            layer,
            "open_files_low",
            f"{whose} may have {shown} files open, and can need {needed} with these settings.",
            "Raise it (LimitNOFILE= in the unit, ulimit -n by hand), or lower max_connections of the stores.",
            facts=facts,
        )
    else:
        notes.ok(layer, f"{whose} may open {shown}, and needs {needed}.", facts=facts)


def _limit_of(pid: object) -> int | None:
    """The soft limit of a process, where it can be read (proc_pid_limits(5))."""
    try:
        text = Path(f"/proc/{pid}/limits").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(r"Max open files\s+(\d+|unlimited)", text)
    if found is None:
        return None
    return resource.RLIM_INFINITY if found[1] == "unlimited" else int(found[1])


def look_at_versions(notes: Notes) -> None:
    """Tell them: whoever helps asks for them first."""
    notes.begin()
    found = read_versions()
    shown = (
        f"prestashop-agent {found['prestashop-agent']}, Python {found['python']}, asyncssh {found['asyncssh']}, "
        f"{found['system']}."
    )
    notes.ok(OwnLayer.VERSIONS, shown, facts=found)
