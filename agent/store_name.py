"""Stores by the addresses that people give for them, among names as ``str(store)`` writes them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from agent.store_url import read_store_url


def names_meant(urls: Iterable[str]) -> frozenset[str]:
    """The names that the addresses can mean, of shop or back office. Raises ``SettingsError`` for one that is none."""
    return frozenset(str(store) for url in urls for store in read_store_url(url).candidates)


def is_meant(name: str, meant: frozenset[str]) -> bool:
    """True for one of them; an address without a shop number means all shops there."""
    return name in meant or name.partition("?")[0] in meant
