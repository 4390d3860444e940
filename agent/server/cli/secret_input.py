"""What a command reads from a file or standard input, above all secrets: these never come from the command line."""

from __future__ import annotations

import os
import stat
import sys
from typing import IO, Any, Final

import click

from agent.errors import StartError

SECRET_MAX_BYTES: Final = 4096
TEXT_MAX_BYTES: Final = 64 * 1024


def read_secret(file: str | None, *, what: str, option: str, remedy: str, prompt: str) -> str:
    """The secret in ``file`` (``-``: standard input), or the answer of a person at a terminal.

    ``what`` names it, ``option`` is the one that names the file, ``remedy`` says what to put there ("put the key").
    A warning is printed when others can read the file. Raises StartError, one sentence, when there is none.
    """
    if file is None:
        if not sys.stdin.isatty():
            raise StartError(f"No {what} was given: name a file with {option}, or - to read standard input.")
        return str(click.prompt(prompt, hide_input=True, err=True)).strip()
    secret = read_text(what, file, SECRET_MAX_BYTES, warn=True).strip()
    if not secret:
        raise StartError(f"The {what} {_place(file)} is empty: {remedy} there.")
    return secret


def read_text(what: str, file: str, max_bytes: int = TEXT_MAX_BYTES, *, warn: bool = False) -> str:
    """The text of ``file`` (``-``: standard input), of at most ``max_bytes``. Raises StartError, one sentence."""
    try:
        with click.open_file(file, "rb") as opened:
            if warn and file != "-":
                _warn_if_open(what, file, opened)
            content = opened.read(max_bytes + 1)
        text = str(content, "utf-8")
    except UnicodeDecodeError:
        raise StartError(f"The {what} {_place(file)} is not text: put it there, and nothing else.") from None
    except OSError as error:
        raise StartError(f"The {what} {_place(file)} cannot be read ({error.strerror}): name another file.") from None
    if len(content) > max_bytes:
        raise StartError(f"The {what} {_place(file)} is longer than {max_bytes} bytes: put it there, and nothing else.")
    return text


def _warn_if_open(what: str, file: str, opened: IO[Any]) -> None:
    status = os.fstat(opened.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
        click.echo(
            f"integration-server: warning: others can read {file}, which holds the {what} "
            f"(mode {stat.S_IMODE(status.st_mode):04o}): run chmod 600 {file}.",
            err=True,
        )


def _place(file: str) -> str:
    return "on standard input" if file == "-" else f"in {file}"
