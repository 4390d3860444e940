"""The addresses of this machine, as Linux lists them."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from agent.server.own_addresses import own_addresses

FIB = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 192.0.2.0
        /24 link UNICAST
Local:
  +-- 0.0.0.0/0 3 0 5
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 192.0.2.7
        /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
"""


def test_local_addresses_are_read_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "fib_trie").write_text(FIB)
    (tmp_path / "if_inet6").write_text("20010db8000000000000000000000007 02 40 00 80     eth0\n")
    assert own_addresses(tmp_path) == {ip_address("127.0.0.1"), ip_address("192.0.2.7"), ip_address("2001:db8::7")}


def test_this_machine_has_loopback() -> None:
    assert ip_address("127.0.0.1") in own_addresses()


def test_without_proc_nothing_is_known(tmp_path: Path) -> None:
    assert own_addresses(tmp_path / "none") == frozenset()
