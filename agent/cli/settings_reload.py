"""Telling the running agent of changed settings, and a person what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent.cli.reload import reload_agent, reload_sentence
from agent.cli.said import Said
from agent.cli.status_codes import NotRunningError, UnknownStateError
from agent.enrolment.settings_change import SettingsNow
from agent.errors import StartError


def tell_agent(now: SettingsNow, said: Said, *, asked: bool) -> dict[str, Any]:
    """Have the agent of these settings read them anew, if ``asked``; ``{"reload": ...}`` for scripts.

    Raises:
        RefusedError: it refuses them: they are written, and those from before are in force.
    """
    unit = now.of.unit or "prestashop-agent"
    if not asked:
        return {"reload": "not_asked"}
    try:
        answer = reload_agent(now.file.path, now.of.environ, is_root=now.of.is_root)
    except NotRunningError:
        said.say("Agent", "None is running with these settings: they count from its next start.")
        return {"reload": "not_running"}
    except UnknownStateError as error:
        said.say("Agent", f"{error} It has not read the settings yet: sudo systemctl reload {unit}, or SIGHUP.")
        return {"reload": "unknown", "reload_error": str(error)}
    except StartError as error:
        said.say("Agent", str(error))
        return {"reload": "unknown", "reload_error": str(error)}
    if not _is_same(Path(answer["settings_file"]), now.file.path):
        said.say("Agent", f"The one that is running reads {answer['settings_file']}, not this file.")
        return {"reload": "not_running"}
    said.say("Agent", reload_sentence(answer))
    return {"reload": "done", "need_restart": answer["need_restart"]}


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
