"""Findings of an examination compared with a page that is kept: as printed, without what differs from run to run.

``DOCTOR_GOLDEN=write`` writes the pages anew; read the difference before it is committed.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import click

from agent.cli.doctor_page import DoctorPage
from agent.doctor.finding import Finding

GOLDEN: Final = Path(__file__).parent.parent / "integration" / "doctor_golden"
WIDTH: Final = 80

_VARIES: Final = (
    (re.compile(r"SHA256:[A-Za-z0-9+/]{43}"), "SHA256:..."),
    (re.compile(r"\b127\.0\.0\.1(?::| port )\d+"), "127.0.0.1:PORT"),
    (re.compile(r"\bport \d{4,5}\b"), "port PORT"),
    (re.compile(r"AsyncSSH_[0-9.]+[0-9]"), "AsyncSSH_2.0"),
    (re.compile(r"\b([Pp])rocess \d+"), r"\1rocess 4242"),
    (re.compile(r"[0-9.]+ ms, at worst [0-9.]+ ms"), "12.0 ms, at worst 15.0 ms"),
    (re.compile(r"At least [0-9.]+ [kM]B/s"), "At least 1.5 MB/s"),
    (re.compile(r"integration-server([ _])[0-9][0-9.a-z]*[0-9a-z]"), r"integration-server\g<1>1.2.3"),
)


def page_of(findings: Iterable[Finding], names: Mapping[str, str]) -> str:
    """The page for ``findings``; ``names`` are further texts to replace, such as a test's own directory."""
    page = DoctorPage(WIDTH)
    lines = [line for finding in findings for line in page.lines(_settled(finding, names))]
    return "".join(f"{click.unstyle(line).rstrip()}\n" for line in lines)


def compare(name: str, page: str) -> None:
    """``page`` is the one that is kept as ``name``."""
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("DOCTOR_GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(page, encoding="utf-8")
    assert page == file.read_text(encoding="utf-8"), f"{file} differs: DOCTOR_GOLDEN=write writes it anew"


def _settled(finding: Finding, names: Mapping[str, str]) -> Finding:
    def settled(text: str) -> str:
        for varying, instead in names.items():
            text = text.replace(varying, instead)
        for pattern, instead in _VARIES:
            text = pattern.sub(instead, text)
        return text

    return dataclasses.replace(
        finding,
        name=settled(finding.name),
        finding=settled(finding.finding),
        remedy=settled(finding.remedy),
        elapsed_ms=12.0,
    )
