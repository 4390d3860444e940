"""Running a click command so that every failure ends in one sentence and the right exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Final, NoReturn

import click

from agent.errors import EXIT_FAILURE, AgentError

EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT, what shells expect after Ctrl-C
DEBUG_OPTION: Final = "--debug"

_PASTED: Final = "psa1_"  # agent.tunnel.token.PREFIX; every command would pay for that import
_GIVEN_AWAY: Final = (
    "An access token does not belong on the command line, where others can read it: run prestashop-agent enroll and "
    "paste it at the prompt, or use --token-file or --token-stdin. The shell may keep this one in its history: "
    "integration-server agents rotate NAME makes a new one."
)
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})

debug_option = click.option(
    DEBUG_OPTION, is_flag=True, expose_value=False, help="Show the traceback when something unexpected fails."
)
"""For the help text only: ``run_command`` takes the option wherever it stands."""


def run_command(command: click.Command, program_name: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``command`` and leave the process.

    Exit codes: what the command says; ``AgentError.exit_code`` (78 settings, else 1) after one sentence on
    stderr; 2 for wrong usage; 130 after Ctrl-C; 1 for anything unexpected, with its type and how to see the
    traceback. ``--debug`` may stand anywhere before ``--``; only with it tracebacks are shown.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    options_end = given.index("--") if "--" in given else len(given)
    options = given[:options_end]
    debug = DEBUG_OPTION in options
    given[:options_end] = [argument for argument in options if argument != DEBUG_OPTION]
    code = _run(command, program_name, given, debug=debug)
    sys.exit(EXIT_FAILURE if _lost_output(program_name) else code)


def _run(command: click.Command, program_name: str, arguments: list[str], *, debug: bool) -> int:
    try:
        result = command.main(arguments, prog_name=program_name, standalone_mode=False)
    except AgentError as error:
        if debug:
            traceback.print_exc()
        _complain(program_name, str(error))
        return error.exit_code
    except click.ClickException as error:
        if any(_PASTED in argument for argument in arguments):  # click would repeat it
            _complain(program_name, _GIVEN_AWAY)
        else:
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as abort:
        if isinstance(abort, click.Abort) and abort.__cause__ is None:  # a prompt's; click's own for Ctrl-C has one
            click.echo(err=True)
            _complain(program_name, "stopped at the question; nothing was done.")
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: a person must never meet a traceback unasked
        if debug:
            traceback.print_exc()
        cause = error
        while isinstance(cause, ExceptionGroup) and len(cause.exceptions) == 1:  # of a task group: the one that counts
            cause = cause.exceptions[0]
        if isinstance(cause, OSError) and _lost_output(program_name, cause):
            return EXIT_FAILURE
        # The text of an unexpected exception may hold anything, a secret too: only its type is shown.
        _complain(
            program_name,
            f"unexpected {type(cause).__name__}, which is a fault of this program: "
            f"run the same command with {DEBUG_OPTION} to see where, and report it.",
        )
        return EXIT_FAILURE
    return result if isinstance(result, int) else 0


def _lost_output(program_name: str, error: OSError | None = None) -> bool:
    """Say, once, that output was lost: ``error`` is what a write met; else what is left for stdout is written now."""
    lost = error if error is not None and error.errno in _FULL else None
    try:
        sys.stdout.flush()
    except OSError as left:
        # What stays in the buffer is written once more when the interpreter ends: to where it cannot fail.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        lost = lost or left
    if lost is None:
        return False
    if lost.errno == errno.EPIPE:  # `| head`: who reads has enough, which is no fault
        return True
    _complain(
        program_name,
        f"the output cannot be written ({lost.strerror}): make room or send it elsewhere; what was done stays done.",
    )
    return True


def _complain(program_name: str, sentence: str) -> None:
    """One line on stderr; control characters (text may come from a peer or a file) are shown escaped."""
    line = " ".join(sentence.split())
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)
    click.echo(f"{program_name}: {shown}", err=True)
