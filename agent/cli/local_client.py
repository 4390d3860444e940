"""Asks the agent that runs on this machine, over its socket."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from agent.cli.status_codes import NotRunningError, UnknownStateError
from agent.errors import AgentError
from agent.local_socket import SOCKET_NAME
from agent.locations import NAME, SYSTEM_RUNTIME_DIR, Locations
from agent.unix_socket import connect_private

TIMEOUT_S: Final = 5.0
ANSWER_MAX_BYTES: Final = 8 << 20

_NOBODY: Final = (FileNotFoundError, ConnectionRefusedError, NotADirectoryError)


class RefusedError(AgentError):
    """The running agent answered that it will not; ``name`` is stable."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.name = name


def usual_places(environ: Mapping[str, str], uid: int) -> tuple[Path, ...]:
    """Where an agent of user ``uid`` may have its socket when no settings say so, and then where the service has it.

    An agent that was started in another session, by cron or by su had another ``XDG_RUNTIME_DIR``, or none.
    """
    home = {name: environ[name] for name in ("HOME", "XDG_STATE_HOME") if name in environ}
    own = (Path(f"/run/user/{uid}") / NAME, Locations.of(home, is_root=False).runtime_dir) if uid else ()
    return (*own, SYSTEM_RUNTIME_DIR)


def ask_agent(
    runtime_dir: Path,
    command: str,
    *,
    elsewhere: Sequence[Path],
    timeout_s: float | None = None,
    **arguments: Any,  # noqa: ANN401 - JSON
) -> dict[str, Any]:
    """The answer of the agent whose socket is in ``runtime_dir`` or, where nobody is, in one of ``elsewhere``.

    ``timeout_s`` is for each step of the conversation; None: ``TIMEOUT_S``.

    Raises:
        NotRunningError: no agent listens.
        UnknownStateError: it cannot be asked, or does not answer in time.
        RefusedError: it refuses this command.
    """
    patience_s = TIMEOUT_S if timeout_s is None else timeout_s
    line = json.dumps({"command": command, **arguments}).encode() + b"\n"
    places = tuple(dict.fromkeys((runtime_dir, *elsewhere)))
    for place in places:
        path = place / SOCKET_NAME
        try:
            answer = _exchange(path, line, patience_s)
        except _NOBODY:
            continue
        except PermissionError:
            raise UnknownStateError(
                f"The socket {path} of prestashop-agent may not be opened by this user: run this command as root "
                "(sudo) or as the user that runs prestashop-agent."
            ) from None
        except (TimeoutError, BlockingIOError):  # a full queue is a BlockingIOError
            raise UnknownStateError(
                f"A prestashop-agent holds {path} and does not answer within {patience_s:g} s: look at its log "
                "(journalctl -u prestashop-agent), or restart it."
            ) from None
        except OSError as error:
            raise UnknownStateError(
                f"The socket {path} of prestashop-agent cannot be used ({error.strerror}): look at its log "
                "(journalctl -u prestashop-agent)."
            ) from None
        return _read(answer, path)
    where = " or ".join(str(place / SOCKET_NAME) for place in places)
    raise NotRunningError(
        f"No prestashop-agent is running here (nobody answers at {where}): look at systemctl status "
        "prestashop-agent, or start one with prestashop-agent run."
        + (" It may run as another user: ask as that user." if elsewhere else "")
    )


def _exchange(path: Path, line: bytes, timeout_s: float) -> bytes:
    with connect_private(path, timeout_s) as connection:
        connection.sendall(line)
        answer = bytearray()
        while len(answer) <= ANSWER_MAX_BYTES:
            received = connection.recv(65536)
            if not received:
                break
            answer += received
    return bytes(answer)


def _read(answer: bytes, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UnknownStateError(
            f"What answers at {path} is not a prestashop-agent, or it ended in the middle: try again, or look at its "
            "log."
        )
    error: Mapping[str, Any] | None = found.get("error")
    if error is not None:
        raise RefusedError(str(error.get("name")), str(error.get("message")))
    return found
