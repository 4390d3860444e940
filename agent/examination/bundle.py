"""What goes into an archive for support: settings, versions, the last log lines, report, status; no secret."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.cli.local_client import ask_agent, usual_places
from agent.doctor.examination import Examination
from agent.doctor.finding import Subject
from agent.doctor.scrub import scrub
from agent.errors import AgentError, SettingsError
from agent.examination.machine import Given, Source, look_at_settings
from agent.examination.notes import Notes
from agent.examination.versions import read_versions
from agent.opening import Opening
from agent.settings import ENV_PREFIX, StoreSettings
from agent.tunnel.proxy_route import EXEMPTION_VARIABLES, VARIABLES

LOG_LINES_MAX: Final = 300
LOG_TAIL_BYTES: Final = 256 * 1024
JOURNAL_LIMIT_S: Final = 10.0

_README: Final = """Support archive of prestashop-agent, made by "prestashop-agent doctor --bundle".

doctor.json     what the doctor found
settings.json   the settings as they are in force; addresses of back offices are shown as those of the webservice
versions.json   program, Python, libraries, system
status.json     what the running agent says of itself
log.txt         the last lines of its log

Access token, passwords, API keys and the values of parameters are not in it. Names of hosts, files and agents are.
"""


@dataclass(frozen=True, slots=True)
class BundleFile:
    """One file of the archive."""

    name: str
    content: str

    @property
    def size_bytes(self) -> int:
        """As it is in the archive, before compression."""
        return len(self.content.encode("utf-8", "replace"))


def collect(source: Source, examination: Examination) -> tuple[BundleFile, ...]:
    """Everything, scrubbed. Asks the running agent and the journal; raises nothing that a person can bring about."""
    given = look_at_settings(source, Notes(Subject.MACHINE, "", lambda _finding: None))
    secrets = tuple(_secrets(given))
    files = {
        "doctor.json": _json(examination.to_json()),
        "settings.json": _json(_settings(given, source.environ)),
        "versions.json": _json(read_versions()),
        "status.json": _json(_status(given, source.environ)),
        "log.txt": _log(given, source.environ),
    }
    scrubbed = tuple(BundleFile(name, scrub(content, secrets)) for name, content in files.items())
    return (BundleFile("README.txt", _README), *scrubbed)


def _secrets(given: Given) -> Iterator[str]:
    """What is known to be secret here, to be looked for by its very text; a token may be unusable and still be one."""
    try:
        text = given.places.token_file.read_bytes()[:LOG_TAIL_BYTES].decode("utf-8", "replace")
    except OSError:
        text = ""
    yield from (each.strip() for each in (text, *text.split()))
    try:
        from agent.tunnel.token import parse_token

        yield parse_token(text).secret
    except AgentError:
        pass
    login = given.route.address.login if given.route is not None else None
    if login is not None:
        yield login.password.decode("utf-8", "replace")
        yield f"{login.username.decode('utf-8', 'replace')}:{login.password.decode('utf-8', 'replace')}"


def _settings(given: Given, environ: Mapping[str, str]) -> dict[str, Any]:
    places = {
        "settings_file": str(given.places.config_file) if given.places.config_present else None,
        "token_file": str(given.places.token_file),
        "token_is_credential": given.places.token_is_credential,
        "state_dir": str(given.places.state_dir),
        "runtime_dir": str(given.places.runtime_dir),
        # Names only: a value may hold a login.
        "variables": sorted(
            name for name in environ if name.startswith(ENV_PREFIX) or name in (*VARIABLES, *EXEMPTION_VARIABLES)
        ),
    }
    if given.settings is None:
        return {"places": places, "settings": "cannot be read, see doctor.json"}
    found = given.settings.model_dump(mode="json")
    for table, store in zip(found["stores"], given.settings.stores, strict=True):
        table["url"] = _webservice(store)
    proxy = found["proxy"]
    proxy["username"] = "(set)" if proxy["username"] is not None else None
    proxy["url"] = None if proxy["url"] is None else "see proxy_route"
    return {"places": places, "proxy_route": str(given.route) if given.route is not None else "none", "settings": found}


def _webservice(store: StoreSettings) -> str:
    try:
        return Opening.of(store).store.webservice_url
    except SettingsError:
        return "cannot be read, see doctor.json"


def _status(given: Given, environ: Mapping[str, str]) -> dict[str, Any]:
    named = given.settings is not None and given.settings.runtime_dir is not None
    elsewhere = () if named else usual_places(environ, os.geteuid())
    try:
        report = ask_agent(given.places.runtime_dir, "status", elsewhere=elsewhere)
    except AgentError as error:
        return {"state": getattr(error, "state", "unknown"), "error": str(error)}
    # Whoever has a token could join as this instance.
    return {**report, "instance_id": f"{str(report.get('instance_id', ''))[:8]}..."}


def _log(given: Given, environ: Mapping[str, str]) -> str:
    """The journal of the unit, else the log files in the state directory."""
    lines = _journal(environ)
    if lines:
        return lines
    try:
        files = sorted(given.places.state_dir.glob("*.log"))
    except OSError:
        files = []
    tails = [f"# {file}\n{_tail(file)}" for file in files]
    return "\n".join(tails) or "No log was found, neither in the journal of prestashop-agent nor in its state_dir.\n"


def _journal(environ: Mapping[str, str]) -> str:
    program = shutil.which("journalctl", path=environ.get("PATH"))
    if program is None:
        return ""
    try:
        ended = subprocess.run(
            [program, "-u", "prestashop-agent", "-n", str(LOG_LINES_MAX), "--no-pager", "-q", "-o", "short-iso"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=JOURNAL_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ended.stdout[-LOG_TAIL_BYTES:].decode("utf-8", "replace") if ended.returncode == 0 else ""


def _tail(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            opened.seek(max(os.fstat(opened.fileno()).st_size - LOG_TAIL_BYTES, 0))
            text = opened.read(LOG_TAIL_BYTES).decode("utf-8", "replace")
    except OSError as error:
        return f"cannot be read ({error.strerror})\n"
    return "\n".join(text.splitlines()[-LOG_LINES_MAX:]) + "\n"


def _json(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n"
