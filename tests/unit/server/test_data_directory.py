"""One process at a time on a data directory; sentences for what cannot be written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.errors import StartError
from agent.server.data_directory import DirectoryBusyError, hold_data_directory


def test_the_directory_is_made_private(tmp_path: Path) -> None:
    with hold_data_directory(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_a_second_holder_is_told_who_has_it_and_what_to_do(tmp_path: Path) -> None:
    with hold_data_directory(tmp_path):
        with pytest.raises(DirectoryBusyError) as caught, hold_data_directory(tmp_path):
            pass
        assert f"process {os.getpid()}" in str(caught.value)
        assert "--data-dir" in str(caught.value)
        assert caught.value.exit_code == 1
    with hold_data_directory(tmp_path):
        pass


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="cannot be written"), hold_data_directory(tmp_path / "file" / "data"):
        pass
