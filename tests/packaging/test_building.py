"""The steps of the build on a tree of one file: what they make does not depend on whose machine it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.tools import require_tool
from tests.packaging.conftest import ROOT

pytestmark = pytest.mark.long

BUILD = """
import os, sys
from pathlib import Path

os.umask(int(sys.argv[2], 8))
from builder import product, tree
from builder.debian import build_deb
from builder.red_hat import build_rpm

folder = Path(sys.argv[1])
root = folder / "tree"
made = tree.Tree(product.AGENT, root, "2.36", ("/etc/prestashop-agent/agent.toml",))
for name in ("etc/prestashop-agent/agent.toml", f"{product.AGENT.home}/a.py", "usr/share/zsh/vendor-completions/_a"):
    made.add(name, "# 100%\\n")
print(build_deb(made, folder))
print(build_rpm(made, folder, folder))
"""


def test_neither_umask_nor_home_change_a_byte(tmp_path: Path) -> None:
    for tool in ("dpkg-deb", "rpmbuild"):
        require_tool(tool, {"dpkg-deb": "dpkg", "rpmbuild": "rpm"}[tool])
    contents = []
    for umask, macros in (("022", ""), ("077", "%_binary_payload w1.gzdio\n%packager somebody else\n"), ("002", "")):
        folder = tmp_path / umask
        folder.mkdir()
        (folder / ".rpmmacros").write_text(macros)
        environ = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": f"{ROOT}/packaging"}
        command = [sys.executable, "-c", BUILD, str(folder), umask]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environ | {"SOURCE_DATE_EPOCH": "1700000000"}
        )
        assert done.returncode == 0, done.stderr
        contents.append([Path(made).read_bytes() for made in done.stdout.splitlines()])
    assert contents[0] == contents[1] == contents[2]
