"""The locked libraries, installed into a folder and rid of what nobody needs at run time."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Final

from builder.product import ROOT, run

_METADATA_KEPT: Final = ("METADATA", "entry_points.txt", "top_level.txt")
_LICENCE_NAMES: Final = re.compile(r"(licen[cs]e|copying|notice|authors)", re.IGNORECASE)
# Stubs, sources and headers of compiled modules, and marks for type checkers.
_NOT_RUN: Final = frozenset({".pyi", ".pyx", ".pxd", ".pxi", ".c", ".h", ".cpp", ".hpp", ".typed", ".exe", ".rst"})
_GLIBC: Final = re.compile(rb"GLIBC_2\.(\d+)")


def install(lock: str, target: Path) -> None:
    """The libraries of ``packaging/locks/LOCK`` in ``target``: wheels only, each with the hash that is locked."""
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-compile"]
    chosen = ["--require-hashes", "--only-binary", ":all:", "--requirement", str(ROOT / "packaging/locks" / lock)]
    run([*pip, *chosen, "--target", str(target)])
    shutil.rmtree(target / "bin", ignore_errors=True)


def licences(target: Path) -> list[tuple[str, str, str]]:
    """Name with version, licence as its own metadata says, and licence texts of each library."""
    found = []
    for info in sorted(target.glob("*.dist-info"), key=lambda each: each.name.lower()):
        fields = (info / "METADATA").read_text(encoding="utf-8", errors="replace").split("\n\n", 1)[0]
        texts = [
            _shortened(file.read_text(encoding="utf-8", errors="replace").strip())
            for file in sorted(info.rglob("*"))
            if file.is_file() and _LICENCE_NAMES.search(file.name)
        ]
        found.append((info.name.removesuffix(".dist-info"), _licence_name(fields), "\n\n".join(texts)))
    return found


def _shortened(text: str) -> str:
    """Debian wants the text of this one licence not in each package: it is in every system."""
    is_apache = "Apache License" in text and "END OF TERMS AND CONDITIONS" in text
    return "The Apache License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0" if is_apache else text


def _licence_name(fields: str) -> str:
    for pattern in (r"License-Expression: (.+)", r"Classifier: License :: OSI Approved :: (.+)", r"License: (.+)"):
        if match := re.search(rf"^{pattern}$", fields, re.MULTILINE):
            return match.group(1).strip()
    return "see its text"


def slim(target: Path) -> None:
    """Remove tests, stubs, sources and pip's own records; keep the metadata that libraries ask for by name."""
    for info in target.glob("*.dist-info"):
        for file in sorted(info.rglob("*"), reverse=True):
            if file.is_dir():
                file.rmdir()
            elif file.parent != info or file.name not in _METADATA_KEPT:
                file.unlink()
        metadata = info / "METADATA"
        # The fields; after the empty line comes the project's README.
        metadata.write_text(metadata.read_text(encoding="utf-8").split("\n\n", 1)[0] + "\n", encoding="utf-8")
    for folder in sorted(target.rglob("tests"), reverse=True):
        if folder.is_dir():
            shutil.rmtree(folder)
    for file in sorted(target.rglob("*")):
        if file.is_file() and file.suffix in _NOT_RUN and ".dist-info" not in str(file.parent):
            file.unlink()
        elif file.suffix == ".py" and file.read_bytes().startswith(b"#!"):  # none of them is started by its name
            file.write_bytes(b"#" + file.read_bytes())
    shared = [str(file) for file in sorted(target.rglob("*.so*")) if file.is_file()]
    run(["strip", "--strip-unneeded", "--enable-deterministic-archives", *shared])


def glibc_needed(target: Path) -> str:
    """The least version of glibc that every compiled library is content with, as ``2.28``."""
    minors = [int(minor) for file in target.rglob("*.so*") for minor in _GLIBC.findall(file.read_bytes())]
    return f"2.{max(minors, default=17)}"
