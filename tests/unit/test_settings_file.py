"""Replacing a settings file: tried out first, whole or not at all, mode and owner kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.errors import SettingsError, StartError
from agent.settings_file import HEADER, SettingsFile, make_directory


def accept(_path: Path) -> None:
    """It would load."""


def test_mode_and_owner_stay_and_a_link_is_followed(tmp_path: Path) -> None:
    real = tmp_path / "real.toml"
    real.write_text("old")
    real.chmod(0o640)
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(real, 12345, 23456)
    link = tmp_path / "agent.toml"
    link.symlink_to(real)
    assert SettingsFile.read(link).replace("new", accept) is True
    status = real.stat()
    assert (real.read_text(), status.st_mode & 0o777, link.is_symlink()) == ("new", 0o640, True)
    if is_root:
        assert (status.st_uid, status.st_gid) == (12345, 23456)
    assert SettingsFile.read(link).replace("new", accept) is False


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_new_file_and_its_directory_can_be_read_by_the_service_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    file = tmp_path / "etc" / "agent.toml"
    old = os.umask(mask)
    try:
        assert SettingsFile.read(file, new_mode=0o644).replace("tunnels = 2\n", accept) is True
        make_directory(tmp_path / "own" / "deep", 0o700)
    finally:
        os.umask(old)
    assert file.read_text() == f"{HEADER}\ntunnels = 2\n"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o644, 0o755)
    assert (tmp_path / "own" / "deep").stat().st_mode & 0o777 == 0o700


def test_what_would_not_load_never_takes_its_place(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("good")
    tried: list[str] = []

    def refuse(path: Path) -> None:
        tried.append(path.read_text())
        raise SettingsError(f"{path}, line 1: not valid")

    with pytest.raises(SettingsError, match=rf"^{file}, line 1: not valid$"):
        SettingsFile.read(file).replace("bad", refuse)
    assert tried == ["bad"]
    assert (file.read_text(), [each.name for each in tmp_path.iterdir()]) == ("good", ["agent.toml"])


def test_what_somebody_else_wrote_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("before")
    read = SettingsFile.read(file)
    with pytest.raises(StartError, match="Somebody else changed"):
        read.replace("mine", lambda _path: file.write_text("theirs"))
    assert file.read_text() == "theirs"


def test_a_file_that_cannot_be_read_or_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xe9")
    with pytest.raises(SettingsError, match="is not UTF-8 at byte 0"):
        SettingsFile.read(tmp_path / "latin")
    with pytest.raises(SettingsError, match="cannot be read"):
        SettingsFile.read(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be read"):
        SettingsFile.read(tmp_path / "file" / "agent.toml")
    with pytest.raises(StartError, match="cannot be written"):
        SettingsFile(tmp_path / "file" / "agent.toml", None, 0o644).replace("x", accept)
