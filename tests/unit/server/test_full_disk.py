"""A disk that is full: one sentence, nothing half done, and everything goes on that only reads."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from agent.errors import StartError
from agent.server.db.database import open_database
from agent.server.db.full_disk import is_full
from tests.kit.control_plane import ControlApi, control_api


def limit_pages(api: ControlApi) -> Any:
    """From now on the file may not grow, as on a full disk; what takes the limit away again."""
    engine = api.plane.engine.sync_engine

    def limited(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA max_page_count=1")  # SQLite takes the present size for it

    event.listen(engine, "connect", limited)
    return lambda: event.remove(engine, "connect", limited)


async def test_what_has_no_room_is_refused_and_reading_goes_on(tmp_path: Path) -> None:
    async with control_api(tmp_path / "data") as api:
        made = await api.created("client-keys", all_connections=True, name="erp")
        await api.connection("Lyon")
        unlimited = limit_pages(api)
        await api.plane.engine.dispose()
        description = "x" * 900
        for number in range(200):
            status, answer = await api.call("POST", "agents", {
                "name": f"agent {number}", "description": description, "public_ssh_address": "h.example:22",
            })  # fmt: skip
            if status != 201:
                break
        assert (status, answer["name"]) == (503, "storage_full")
        assert "Free some space" in answer["detail"]
        names = [each["name"] for each in (await api.call("GET", "agents?limit=500"))[1]]
        assert f"agent {number}" not in names
        assert len(names) == number
        assert api.admits("lyon", made["key"]) is not None
        unlimited()
        await api.plane.engine.dispose()
        assert (await api.call("POST", "agents", {"name": "late", "public_ssh_address": "h.example:22"}))[0] == 201


async def test_a_start_without_room_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "touch", full)
    with pytest.raises(StartError, match="is full: free some space there"):
        await open_database(tmp_path)


@pytest.mark.parametrize(("number", "full"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EACCES, False)])
def test_errors_of_the_system(number: int, full: bool) -> None:
    assert is_full(OSError(number, "x")) is full
