"""A file that is whole or not there: what is at its name before, during and after."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from agent.whole_file import whole_file


def test_the_old_content_stays_until_the_new_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    path.chmod(0o644)
    with whole_file(path, may_replace=True) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("may_replace", [True, False])
def test_a_failure_changes_nothing(tmp_path: Path, may_replace: bool) -> None:
    path = tmp_path / "x"
    if may_replace:
        path.write_text("old")
    with pytest.raises(KeyboardInterrupt), whole_file(path, may_replace=may_replace) as file:
        file.write(b"ne")
        raise KeyboardInterrupt
    assert [each.read_text() for each in tmp_path.iterdir()] == (["old"] if may_replace else [])


def test_a_file_that_is_there_or_has_appeared_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(FileExistsError), whole_file(path, may_replace=False):
        path.write_text("meanwhile")
    with pytest.raises(FileExistsError), whole_file(path, may_replace=False):
        raise AssertionError
    assert [each.read_text() for each in tmp_path.iterdir()] == ["meanwhile"]


def test_what_a_killed_process_has_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".x.part").write_text("half of something")
    with whole_file(tmp_path / "x", may_replace=False) as file:
        file.write(b"new")
    assert [each.read_text() for each in tmp_path.iterdir()] == ["new"]


def test_two_that_write_the_same_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(OSError, match="another process"), whole_file(path, may_replace=True) as slow:
        slow.write(b"slow")
        with whole_file(path, may_replace=True) as fast:
            fast.write(b"fast")
        (tmp_path / ".x.part").write_text("of a third")
    assert path.read_text() == "fast"
    assert (tmp_path / ".x.part").exists()


@pytest.mark.parametrize("has_appeared", [True, False])
def test_a_disk_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_appeared: bool) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    path = tmp_path / "x"
    monkeypatch.setattr(Path, "hardlink_to", refused)
    if has_appeared:
        with pytest.raises(FileExistsError), whole_file(path, may_replace=False):
            path.write_text("meanwhile")
    else:
        with whole_file(path, may_replace=False) as file:
            file.write(b"new")
    assert [each.read_text() for each in tmp_path.iterdir()] == ["meanwhile" if has_appeared else "new"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "x").symlink_to(tmp_path / "disk" / "y")
    with whole_file(tmp_path / "x", may_replace=False) as file:
        file.write(b"new")
    assert (tmp_path / "disk" / "y").read_text() == "new"
    assert (tmp_path / "x").is_symlink()
