"""The pages of docs/ that are made from the code are the ones the code makes now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "packaging/generate_docs.py"


@pytest.mark.parametrize("pages", ["errors", "settings", "metrics", "what"])
def test_the_pages_are_current(pages: str) -> None:
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), pages, "--check"], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("key", ["token_file", "`store_first_byte_s`", "`[[stores]]`", "PRESTASHOP_AGENT_LOG__LEVEL"])
def test_the_agents_page_holds_tables_keys_and_variables(key: str) -> None:
    assert key in (ROOT / "docs/settings-agent.md").read_text(encoding="utf-8")
