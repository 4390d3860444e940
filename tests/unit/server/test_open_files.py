"""The limit of open files is raised as far as it goes, since every tunnel is one."""

from __future__ import annotations

import subprocess
import sys


def limits_after(soft: int, hard: int, wanted: str = "") -> list[int]:
    script = (
        "import resource\n"
        "from agent.server.open_files import allow_open_files\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        f"print(allow_open_files({wanted}), *resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return [int(word) for word in run.stdout.split()]


def test_the_soft_limit_becomes_the_hard_one() -> None:
    assert limits_after(100, 700) == [700, 700, 700]


def test_no_more_than_is_of_use_is_asked_for() -> None:
    assert limits_after(100, 700, "400") == [400, 400, 700]


def test_it_is_never_lowered() -> None:
    assert limits_after(600, 700, "400") == [600, 600, 700]
