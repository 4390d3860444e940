"""The archive of ``prestashop-agent doctor --bundle``: shown, agreed to, written."""

from __future__ import annotations

import io
import os
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from agent.doctor.examination import Examination
from agent.errors import StartError
from agent.examination.bundle import BundleFile, collect
from agent.examination.machine import Source

FOLDER: Final = "prestashop-agent-support"


def write_bundle(file: Path, source: Source, examination: Examination, *, is_sure: bool, is_silent: bool) -> None:
    """Collect, list, show and ask (unless ``is_sure``), and write ``file``, mode 0600.

    Raises ``StartError`` when there is such a file already or it cannot be written; ``click.Abort`` for a no.
    """
    if file.exists() or file.is_symlink():  # before anything is asked
        raise _exists(file)
    files = collect(source, examination)
    if not is_silent:
        click.echo(f"\nThe archive {file} will hold, in the folder {FOLDER}:")
        for each in files:
            click.echo(f"  {each.size_bytes:>8} bytes  {each.name}")
    if not is_sure:
        _show(files)
        click.confirm(f"Write {file}?", abort=True)
    _write(file, files)
    if not is_silent:
        click.echo(f"{file} is written; nothing was sent anywhere.")


def _show(files: Sequence[BundleFile]) -> None:
    text = "".join(f"===== {each.name} =====\n{_printable(each.content)}\n" for each in files)
    if sys.stdout.isatty():
        click.pause("Press a key to read it ...")
        click.echo_via_pager(text)
    else:
        click.echo(f"\n{text}", nl=False)


def _printable(text: str) -> str:
    """Log lines may hold what others wrote: without a way to move the cursor."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)


def _write(file: Path, files: Sequence[BundleFile]) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise _exists(file) from None
    except OSError as error:
        raise StartError(f"The archive {file} cannot be written ({error.strerror}): name another place.") from None
    try:
        with os.fdopen(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as archive:
            for each in files:
                content = each.content.encode("utf-8", "replace")
                entry = tarfile.TarInfo(f"{FOLDER}/{each.name}")
                entry.size, entry.mtime, entry.mode = len(content), int(time.time()), 0o600
                archive.addfile(entry, io.BytesIO(content))
    except OSError as error:
        file.unlink(missing_ok=True)
        raise StartError(f"The archive {file} cannot be written ({error.strerror}): make room there.") from None


def _exists(file: Path) -> StartError:
    return StartError(f"There is a file {file} already: remove it, or name another one with --bundle.")
