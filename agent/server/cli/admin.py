"""How a command reaches the control API: over the running server's socket, else in this process."""

from __future__ import annotations

import asyncio
import getpass
import http.client
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote, urlencode

from agent.as_owner import as_owner
from agent.cli.status_codes import NotRunningError, UnknownStateError
from agent.errors import AgentError, StartError
from agent.server.addresses import split_address
from agent.server.cli.admin_events import OnStep, TestEvents
from agent.server.data_directory import DirectoryBusyError, hold_data_directory
from agent.server.settings import ServerSettings
from agent.unix_socket import connect_private

STATUS_TIMEOUT_S: Final = 5.0
CALL_TIMEOUT_S: Final = 120.0  # a connection test waits for a slow store
ARCHIVE_TIMEOUT_S: Final = 3600.0  # a large database is copied before the first byte of its back-up comes
BUSY_PATIENCE_S: Final = 5.0  # a server that is just starting or leaving, or another command
_BUSY_PAUSE_S: Final = 0.1
_PAGE: Final = 500
_PIECE_BYTES: Final = 256 * 1024


class RefusedError(AgentError):
    """The control API refused; ``str`` is its sentence, ``name`` and ``field`` are stable."""

    def __init__(self, sentence: str, name: str, field: str | None) -> None:
        super().__init__(sentence)
        self.name = name
        self.field = field


@dataclass(frozen=True, slots=True)
class _Call:
    """One request; a success (2xx) is written to ``into`` where that is given. ``even_older``: see `opened_state`."""

    method: str
    target: str
    fields: Mapping[str, str]
    content: bytes | BinaryIO = field(default=b"", repr=False)
    into: BinaryIO | None = None
    take: Callable[[http.client.HTTPResponse], bytes] | None = None
    timeout_s: float = CALL_TIMEOUT_S
    even_older: bool = False


class AdminApi:
    """The control API of the server that ``settings`` mean."""

    def __init__(self, settings: ServerSettings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ

    def get(self, *path: str, query: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
        """GET ``/v1/...``; the parts of the path are encoded. Raises RefusedError, StartError, SettingsError."""
        return self._call("GET", path, None, query)

    def get_all(self, *path: str, query: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Every item of a list, page by page; ``query`` holds its filters. Raises as ``get``."""
        found: list[dict[str, Any]] = []
        while True:
            page = self._call("GET", path, None, {**(query or {}), "limit": str(_PAGE), "offset": str(len(found))})
            found += page["items"]
            if len(found) >= page["total"] or not page["items"]:
                return found

    def post(self, *path: str, body: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
        """POST, as ``get``."""
        return self._call("POST", path, body if body is not None else {})

    def watch(self, *path: str, body: Mapping[str, object], on_step: OnStep) -> dict[str, Any]:
        """POST of a test that is followed step by step; its report. Raises as ``get``; Ctrl-C breaks the test off."""
        events = TestEvents(on_step)
        content = json.dumps(body).encode()
        target = f"{_target(path)}?stream=true"
        status, answer = self._answer(_Call("POST", target, _json_fields(content), content, take=events.take))
        events.raise_lost()
        if not 200 <= status < 300:
            raise _refused(status, answer)
        events.feed(answer.splitlines(keepends=True))  # of a command without a server it comes at once
        if events.problem is not None:
            raise _refused(events.problem["status"], json.dumps(events.problem).encode())
        if events.report is None:
            raise StartError("The running server ended before the test was over: test again.")
        return events.report

    def patch(self, *path: str, body: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON
        """PATCH, as ``get``."""
        return self._call("PATCH", path, body)

    def delete(self, *path: str) -> Any:  # noqa: ANN401 - JSON
        """DELETE, as ``get``."""
        return self._call("DELETE", path, None)

    def download(self, *path: str, query: Mapping[str, str], into: BinaryIO) -> None:
        """GET of a back-up, to a file, also of a database that has to be migrated. Raises as ``get``, and OSError."""
        target = f"{_target(path)}?{urlencode(query)}"
        call = _Call("GET", target, _fields(), into=into, timeout_s=ARCHIVE_TIMEOUT_S, even_older=True)
        status, answer = self._answer(call)
        if not 200 <= status < 300:
            raise _refused(status, answer)

    def upload(self, *path: str, content: BinaryIO, query: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
        """POST of a file, from its beginning. Raises as ``get``."""
        size = os.fstat(content.fileno()).st_size
        fields = _fields() | {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        target = f"{_target(path)}?{urlencode(query)}"
        status, answer = self._answer(_Call("POST", target, fields, content, timeout_s=ARCHIVE_TIMEOUT_S))
        if not 200 <= status < 300:
            raise _refused(status, answer)
        return json.loads(answer)

    def running_status(self) -> dict[str, Any]:
        """What the running server says of itself; unlike the others this never opens the database instead.

        Raises NotRunningError, UnknownStateError.
        """
        path = self._settings.admin_socket_path
        connection = _UnixConnection(path, STATUS_TIMEOUT_S)
        try:
            connection.request("GET", "/v1/status", headers=_fields())
            response = connection.getresponse()
            status, answer = response.status, response.read()
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise NotRunningError(
                f"No integration-server is running here (nobody answers at {path}): look at systemctl status "
                "integration-server, or start one with integration-server serve."
            ) from None
        except PermissionError:
            raise UnknownStateError(
                f"The admin socket {path} may not be opened by this user: run this command as root (sudo) or as the "
                "user that runs integration-server."
            ) from None
        except (TimeoutError, BlockingIOError):  # a full queue is a BlockingIOError
            raise UnknownStateError(
                f"An integration-server holds {path} and does not answer within {STATUS_TIMEOUT_S:g} s: look at its "
                "log (journalctl -u integration-server), or restart it."
            ) from None
        except (OSError, http.client.HTTPException):
            status, answer = 0, b""
        finally:
            connection.close()
        try:
            found = json.loads(answer)
        except ValueError:
            found = None
        if status != 200 or not isinstance(found, dict):
            raise UnknownStateError(
                f"The integration-server at {path} gave no usable answer (it may be ending just now): try again, or "
                "look at its log."
            )
        return found

    def _call(
        self,
        method: str,
        path: tuple[str, ...],
        body: Mapping[str, object] | None,
        query: Mapping[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        target = _target(path) + (f"?{urlencode(query)}" if query else "")
        content = json.dumps(body).encode() if body is not None else b""
        fields = _fields() if body is None else _json_fields(content)
        status, answer = self._answer(_Call(method, target, fields, content))
        if not 200 <= status < 300:
            raise _refused(status, answer)
        try:
            return json.loads(answer)
        except ValueError:
            return {}

    def _answer(self, call: _Call) -> tuple[int, bytes]:
        patience_until = time.monotonic() + BUSY_PATIENCE_S
        while True:
            connection = _UnixConnection(self._settings.admin_socket_path, call.timeout_s)
            try:
                connection.connect()
            except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
                try:
                    return self._in_process(call)
                except DirectoryBusyError as error:
                    if time.monotonic() >= patience_until:
                        raise StartError(
                            f"{str(error).rstrip('.')}; its admin socket {self._settings.admin_socket_path} does not "
                            "answer."
                        ) from None
                time.sleep(_BUSY_PAUSE_S)
                continue
            except OSError as error:
                raise StartError(
                    f"The admin socket {self._settings.admin_socket_path} cannot be opened ({error.strerror}): run "
                    "this command as root or as the user that runs integration-server."
                ) from None
            try:
                connection.request(call.method, call.target, call.content or None, call.fields)
                response = connection.getresponse()
                return (response.status, call.take(response)) if call.take else _taken(response, call.into)
            except TimeoutError:
                raise StartError("The running server did not answer in time: its log has more.") from None
            except (OSError, http.client.HTTPException):
                raise StartError(
                    "The running server ended before it answered: look at what was done with the list command."
                ) from None
            finally:
                connection.close()

    def _in_process(self, call: _Call) -> tuple[int, bytes]:
        from agent.log import configure_logging

        configure_logging("error")
        data_dir = self._settings.data_dir
        with as_owner(data_dir), hold_data_directory(data_dir):
            return asyncio.run(self._on_database(call))

    async def _on_database(self, call: _Call) -> tuple[int, bytes]:
        from agent.server.api.application import create_application
        from agent.server.api.in_process import call_in_process
        from agent.server.state import opened_state

        _, port = split_address(self._settings.gateway.listen)
        async with opened_state(self._settings, self._environ, even_older=call.even_older) as state:
            app = create_application(state.control_plane(f"http://127.0.0.1:{port}"))
            return await call_in_process(app, call.method, call.target, call.fields, call.content, call.into)


def _target(path: tuple[str, ...]) -> str:
    return "/v1/" + "/".join(quote(part, safe="") for part in path)


def _fields() -> dict[str, str]:
    return {"Actor-Name": _actor_name(), "Host": "localhost"}


def _json_fields(content: bytes) -> dict[str, str]:
    return _fields() | {"Content-Type": "application/json", "Content-Length": str(len(content))}


def _taken(response: http.client.HTTPResponse, into: BinaryIO | None) -> tuple[int, bytes]:
    """Status and body; a success goes to ``into``. Raises IncompleteRead for one that is cut short, OSError."""
    if into is None or not 200 <= response.status < 300:
        return response.status, response.read()
    while piece := response.read(_PIECE_BYTES):
        into.write(piece)
    if response.length:  # unlike a read of everything, reads of pieces end there without a word
        raise http.client.IncompleteRead(b"", response.length)
    return response.status, b""


def _refused(status: int, answer: bytes) -> RefusedError:
    try:
        given = json.loads(answer)
    except ValueError:
        given = {}
    problem = given if isinstance(given, dict) else {}
    return RefusedError(
        problem.get("detail") or f"The server answered {status} without saying why: its log has more.",
        str(problem.get("name", "failed")),
        problem.get("field"),
    )


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path
        self._timeout_s = timeout_s

    def connect(self) -> None:
        self.sock = connect_private(self._path, self._timeout_s)


def _actor_name() -> str:
    """For the audit trail: who called sudo, else the user."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)[:64] or "unknown"
