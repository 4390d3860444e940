"""What no_proxy covers."""

from __future__ import annotations

import pytest

from agent.tunnel.proxy_exemptions import Exemptions


@pytest.mark.parametrize(
    ("entry", "host", "covered"),
    [
        ("*", "anything", True),
        ("example.com", "example.com", True),
        ("example.com", "srv.example.com", True),
        ("example.com", "Srv.EXAMPLE.com.", True),
        ("example.com", "badexample.com", False),
        ("example.com", "example.com.evil", False),
        (".example.com", "srv.example.com", True),
        (".example.com", "example.com", True),
        ("*.example.com", "srv.example.com", True),
        ("EXAMPLE.com.", "example.com", True),
        ("srv", "srv", True),
        ("10.0.0.5", "10.0.0.5", True),
        ("10.0.0.5", "10.0.0.50", False),
        ("10.0.0.0/8", "10.200.3.4", True),
        ("10.1.2.3/8", "10.200.3.4", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "2001:db8::1", False),
        ("10.0.0.0/8", "10.example.com", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("[2001:db8::1]", "2001:DB8:0::1", True),
        ("::1", "::1", True),
    ],
)
def test_entries(entry: str, host: str, covered: bool) -> None:
    assert Exemptions.read((entry,)).cover(host, 2222) is covered
    assert Exemptions.read_variable(f"other.test,{entry}").cover(host, 2222) is covered


@pytest.mark.parametrize("entry", ["example.com:2222", "10.0.0.1:2222", "[2001:db8::1]:2222", "*:2222"])
def test_an_entry_with_a_port_is_for_that_port(entry: str) -> None:
    host = {"e": "example.com", "1": "10.0.0.1", "[": "2001:db8::1", "*": "x"}[entry[0]]
    assert Exemptions.read((entry,)).cover(host, 2222)
    assert not Exemptions.read((entry,)).cover(host, 443)


@pytest.mark.parametrize("entry", ["", "http://example.com", "10.0.0.0/99", "a b", "example.com:0", "ex\r\nample", "-"])
def test_a_setting_that_is_no_entry_is_refused_and_a_variable_passes_over_it(entry: str) -> None:
    with pytest.raises(ValueError, match="must hold names"):
        Exemptions.read(("good.test", entry))
    variable = Exemptions.read_variable(f"{entry},good.test")
    assert variable.cover("good.test", 1)
    assert not variable.cover("other.test", 1)


def test_a_variable_has_commas_and_blanks() -> None:
    found = Exemptions.read_variable(" a.test, b.test  c.test,,")
    assert [found.cover(host, 1) for host in ("a.test", "b.test", "c.test", "d.test")] == [True, True, True, False]
    assert not Exemptions.read_variable("").cover("a.test", 1)
