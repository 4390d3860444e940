"""One booted Debian for all tests here, which come in the order of a life: installed, used, upgraded, taken away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.booted.shop_machine import ShopMachine
from tests.kit.booted import INCLUDE, BootedDebian
from tests.kit.debian_root import DebianRoot
from tests.packaging.conftest import Built, packages

__all__ = ["packages"]


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory, packages: dict[str, Built]) -> Iterator[ShopMachine]:
    """Booted, with nothing of ours on it but the packages' files in /srv."""
    folder = tmp_path_factory.mktemp("booted")
    with BootedDebian(DebianRoot(folder / "root", include=INCLUDE)) as booted, booted.network() as network:
        machine = ShopMachine(booted, network, packages, folder)
        yield machine
        machine.close()
