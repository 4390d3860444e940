"""The state directory: the instance's id, and that only one process has it."""

from __future__ import annotations

import multiprocessing
import os
import stat
import uuid
from pathlib import Path

import pytest

from agent.errors import StartError
from agent.instance import ID_NAME, LOCK_NAME, Instance

SPAWN = multiprocessing.get_context("spawn")


def claim_and_leave(state_dir: str) -> None:
    """In another process: take the directory and end without giving it back."""
    Instance.claim(Path(state_dir))
    os._exit(0)


def test_the_id_is_a_uuid_that_stays_over_restarts(tmp_path: Path) -> None:
    with Instance.claim(tmp_path / "a/b") as first:
        assert str(uuid.UUID(first.id)) == first.id
    with Instance.claim(tmp_path / "a/b") as second:
        assert second.id == first.id
    with Instance.claim(tmp_path / "c") as other:
        assert other.id != first.id


def test_directory_and_files_are_for_the_owner_only(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    with Instance.claim(state_dir):
        assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
        for name in (ID_NAME, LOCK_NAME):
            assert stat.S_IMODE((state_dir / name).stat().st_mode) == 0o600
        assert sorted(path.name for path in state_dir.iterdir()) == sorted([ID_NAME, LOCK_NAME])


@pytest.mark.parametrize("content", ["", "not a uuid", "1234", "\udce9"])
def test_a_damaged_id_is_made_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / ID_NAME).write_text(content, errors="surrogateescape")
    with Instance.claim(tmp_path) as instance:
        assert str(uuid.UUID(instance.id)) == instance.id
    assert (tmp_path / ID_NAME).read_text().strip() == instance.id


def test_a_second_claim_is_told_who_has_the_directory(tmp_path: Path) -> None:
    with Instance.claim(tmp_path), pytest.raises(StartError) as caught:
        Instance.claim(tmp_path)
    assert caught.value.exit_code == 1
    assert f"(process {os.getpid()})" in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "--state-dir" in str(caught.value)


def test_a_process_that_died_does_not_keep_the_directory(tmp_path: Path) -> None:
    process = SPAWN.Process(target=claim_and_leave, args=(str(tmp_path),))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert (tmp_path / LOCK_NAME).read_text().strip() == str(process.pid)
    with Instance.claim(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text().strip() == str(os.getpid())


def test_release_may_be_called_twice_and_never_closes_a_strange_descriptor(tmp_path: Path) -> None:
    instance = Instance.claim(tmp_path)
    instance.release()
    reader, writer = os.pipe()  # takes the number that was freed
    instance.release()
    os.write(writer, b"x")
    assert os.read(reader, 1) == b"x"
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("what", ["file in the way", "lock is a directory", "lock is a link", "id is a directory"])
def test_a_directory_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path, what: str) -> None:
    state_dir = tmp_path / "state"
    if what == "file in the way":
        state_dir.write_text("")
    elif what == "lock is a link":
        state_dir.mkdir()
        (state_dir / LOCK_NAME).symlink_to("/dev/null")
    else:
        (state_dir / (LOCK_NAME if what.startswith("lock") else ID_NAME)).mkdir(parents=True)
    with pytest.raises(StartError) as caught:
        Instance.claim(state_dir)
    assert str(state_dir) in str(caught.value)
    assert "--state-dir" in str(caught.value)
    if what == "id is a directory":
        (state_dir / ID_NAME).rmdir()
        Instance.claim(state_dir).release()  # the failed attempt gave the lock back
