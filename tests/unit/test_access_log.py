"""The access log: what a line holds, how files are rotated and swept, and that no disk stops an exchange."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from agent.access_files import AccessFiles, access_files
from agent.access_line import access_line
from agent.access_log import WAITING_MAX, AccessLog
from agent.access_reader import AccessReader
from agent.forward.context import ExchangeRecord
from agent.redact import loggable_target
from tests.kit.canary import Canaries

MIDNIGHT = datetime(2026, 11, 27, tzinfo=UTC).timestamp()
SECRETS = Canaries({"api key": "CANARY0API0KEY0CANARY0API0KEY012", "mail": "jane.doe@customer.example"})


def record(
    number: int = 0, target: bytes = b"http://shop.example.com/api/products?limit=1&display=full"
) -> ExchangeRecord:
    return ExchangeRecord(
        f"rid-{number}", "http://shop.example.com/", "GET", loggable_target(target), 200, "", 0.0342, 120, 4096
    )


def files_in(directory: Path, days: int = 30, max_bytes: int = 10_000_000) -> AccessFiles:
    return AccessFiles(directory / "access", retention_days=days, max_bytes=max_bytes)


def names(directory: Path) -> list[str]:
    return [file.path.name for file in access_files(directory / "access")]


def test_a_line_has_names_and_never_values() -> None:
    assert json.loads(access_line(MIDNIGHT - 0.0004, record())) == {
        "time": "2026-11-26T23:59:59.999Z",
        "store": "http://shop.example.com/",
        "method": "GET",
        "path": "/api/products",
        "parameters": ["limit", "display"],
        "status": 200,
        "error": "",
        "ms": 34.2,
        "bytes_to_store": 120,
        "bytes_from_store": 4096,
        "request_id": "rid-0",
    }


def test_whatever_stands_in_it_is_one_json_object_as_json_writes_it() -> None:
    odd = 'a"b\\c\x1f\u2028\U0001f600'
    given = replace(
        record(target=b'/api/"\xff?a"b=1&c'), store=odd, method=odd, error=odd, request_id=odd, trace_id=odd
    )
    line = access_line(MIDNIGHT, given)
    assert line == json.dumps(json.loads(line), separators=(",", ":")).encode() + b"\n"
    assert [json.loads(line)[name] for name in ("store", "method", "error", "request_id", "trace_id")] == [odd] * 5
    assert json.loads(line)["parameters"] == ['a"b', "..."]


def test_a_traced_request_has_its_trace() -> None:
    line = json.loads(access_line(MIDNIGHT, replace(record(), trace_id="4bf92f3577b34da6a3ce929d0e0e4736")))
    assert line["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    "target",
    [
        b"http://shop.example.com/api/customers?filter[email]=[jane.doe@customer.example]&display=full",
        b"http://CANARY0API0KEY0CANARY0API0KEY012@shop.example.com/api/?ws_key=CANARY0API0KEY0CANARY0API0KEY012",
        b"http://shop.example.com/api/products&ws_key=CANARY0API0KEY0CANARY0API0KEY012",
        b"http://shop.example.com/api/products%26x%3djane.doe@customer.example",
        b"http://shop.example.com/api/?CANARY0API0KEY0CANARY0API0KEY012",
        b"http://shop.example.com/api/?a=1;jane.doe@customer.example",
        b"http://shop.example.com/api/?" + b"jane.doe@customer.example" * 9 + b"=1",
    ],
)
def test_planted_secrets_are_in_no_file(target: bytes, tmp_path: Path) -> None:
    files = files_in(tmp_path)
    files.write([(MIDNIGHT, access_line(MIDNIGHT, record(target=target)))])
    content = {file.path.name: file.path.read_bytes() for file in access_files(tmp_path / "access")}
    assert len(content) == 1
    assert SECRETS.find(content) == []


def test_one_file_a_day_for_its_owner_only(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    old_mask = os.umask(0)
    try:
        files.write((at, access_line(at, record())) for at in (MIDNIGHT - 2, MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + 1))
    finally:
        os.umask(old_mask)
    files.close()
    assert names(tmp_path) == ["access-2026-11-26.jsonl", "access-2026-11-27.jsonl"]
    assert [file.path.read_bytes().count(b"\n") for file in access_files(tmp_path / "access")] == [2, 2]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "access").iterdir()} == {0o600}
    assert (tmp_path / "access").stat().st_mode & 0o777 == 0o700


def test_a_file_that_somebody_removed_is_made_again(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    for _ in range(2):
        files.write([(MIDNIGHT, b"{}\n")])
        (only,) = access_files(tmp_path / "access")
        assert only.path.read_bytes() == b"{}\n"
        only.path.unlink()
    files.close()


def test_the_oldest_go_by_age_and_by_size(tmp_path: Path) -> None:
    line = b"x" * 99 + b"\n"
    files = files_in(tmp_path, days=3, max_bytes=4000)
    for day in range(6):
        files.write([(MIDNIGHT + 86400 * day, line)])
    (tmp_path / "access" / "notes.txt").write_text("not ours")
    assert names(tmp_path) == [f"access-2026-{each}.jsonl" for each in ("11-30", "12-01", "12-02")]
    for _ in range(60):
        files.write([(MIDNIGHT + 86400 * 5, line)])
        assert sum(file.path.stat().st_size for file in access_files(tmp_path / "access")) <= 4000
    parts = [file.part for file in access_files(tmp_path / "access")]
    assert parts == sorted(parts)
    assert parts[-1] == 6
    files.close()
    files.write([(MIDNIGHT + 86400 * 5, line)])
    assert access_files(tmp_path / "access")[-1].part == 6, "a restart goes on where it was"
    files.sweep(date(2027, 6, 1))
    assert [file.part for file in access_files(tmp_path / "access")] == [6], "what is written to now stays"
    files.close()
    assert (tmp_path / "access" / "notes.txt").exists()


class SlowFiles(AccessFiles):
    """A disk that hangs, or that is full, until told otherwise."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "access", retention_days=30, max_bytes=10_000_000)
        self.goes_on = threading.Event()
        self.full = False

    def write(self, lines: Iterable[tuple[float, bytes]]) -> None:
        self.goes_on.wait(10)
        if self.full:
            raise OSError(28, "No space left on device")
        super().write(lines)


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def warning(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))


async def flushed(log: AccessLog) -> None:
    """Write what waits, without waiting for its time."""
    await log._idle.wait()
    log._flush()
    await log._idle.wait()


async def test_what_is_noted_is_written_in_order_and_the_rest_at_the_end(tmp_path: Path) -> None:
    log = AccessLog(files_in(tmp_path), lambda: MIDNIGHT)
    log.open()
    for number in range(100):
        log.note(record(number))
    await flushed(log)
    log.note(record(100))
    await log.close()
    log.note(record(101))
    (file,) = access_files(tmp_path / "access")
    ids = [json.loads(line)["request_id"] for line in file.path.read_bytes().splitlines()]
    assert ids == [f"rid-{number}" for number in range(101)]
    assert log.lost == 0


async def test_a_full_disk_is_said_once_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Log()
    monkeypatch.setattr("agent.access_log._log", said)
    files = SlowFiles(tmp_path)
    files.goes_on.set()
    files.full = True
    log = AccessLog(files)
    log.open()
    for number in range(3):
        log.note(record(number))
        await flushed(log)
    files.full = False
    log.note(record(3))
    await flushed(log)
    await log.close()
    assert [event for event, _ in said.lines] == ["access_log.failing", "access_log.resumed"]
    assert "No space left on device" in str(said.lines[0][1]["detail"])
    assert (said.lines[1][1]["lost"], log.lost) == (3, 3)
    assert [entry["request_id"] for entry in AccessReader(tmp_path / "access", 0).lines()] == ["rid-3"]


async def test_a_disk_that_hangs_costs_no_more_than_its_bound(tmp_path: Path) -> None:
    files = SlowFiles(tmp_path)
    log = AccessLog(files)
    log.open()
    await log._idle.wait()
    log.note(record())
    log._flush()
    for number in range(WAITING_MAX + 7):
        log.note(record(number))
    assert (log.lost, len(log._waiting)) == (7, WAITING_MAX)
    files.goes_on.set()
    await flushed(log)
    await log.close()
    assert sum(1 for _ in AccessReader(tmp_path / "access", 0).lines()) == WAITING_MAX + 1


async def test_switched_off_it_makes_nothing(tmp_path: Path) -> None:
    log = AccessLog(None)
    log.open()
    log.note(record())
    await log.close()
    assert list(tmp_path.iterdir()) == []


def test_half_a_batch_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = files_in(tmp_path)
    files.write([(MIDNIGHT, b"whole\n")])
    real = os.write

    def half(descriptor: int, content: bytes) -> int:
        if len(content) < 8:
            raise OSError(28, "No space left on device")
        return real(descriptor, content[: len(content) // 2])

    monkeypatch.setattr("agent.access_files.os.write", half)
    with pytest.raises(OSError, match="No space"):
        files.write([(MIDNIGHT, b"this one is cut\n")])
    monkeypatch.undo()
    files.write([(MIDNIGHT, b"whole, too\n")])
    files.close()
    assert access_files(tmp_path / "access")[0].path.read_bytes() == b"whole\nwhole, too\n"
