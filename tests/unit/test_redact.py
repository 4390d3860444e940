"""No value of a parameter ever reaches a log line."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import redact
from agent.redact import loggable_target


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (b"/api/products", "/api/products"),
        (b"/api/products?", "/api/products?"),
        (b"/api/products?display=full&ws_key=SECRET", "/api/products?display&ws_key"),
        (b"/api/customers?filter[email]=[a@b.c]", "/api/customers?filter[email]"),
        (b"/api/customers?filter%5Bemail%5D=a%40b.c&&x", "/api/customers?filter%5Bemail%5D&..."),
        (b"/api?=VALUE&a=b=c", "/api?...&a"),
        (b"http://CLIENTKEY@gw/lyon/api/products?limit=1", "/lyon/api/products?limit"),
        (b"https://gw", ""),
        (b"/x://k@gw/y", "//y"),
        (b"1://2http://k@gw/y", "1://2/y"),
        (b"/lyon/api/products%26ws_key%3DCLIENTKEY", "/lyon/api/products..."),
        (b"/lyon/api/products&ws_key=CLIENTKEY?a=1", "/lyon/api/products...?a"),
        (b"/lyon/api/products%3fws_key%3dCLIENTKEY", "/lyon/api/products..."),
        (b"/lyon/api/products?CLIENTKEY", "/lyon/api/products?..."),
        (b"/api?" + b"S" * 41, "/api?..."),
        (b"/api\x1b[31m\n\xff", "/api\\x1b[31m\\x0a\\xff"),
        (b"", ""),
    ],
)
def test_the_path_and_the_names_are_shown(target: bytes, shown: str) -> None:
    assert loggable_target(target) == shown


@settings(deadline=None, max_examples=300)
@given(
    st.text("/apixA?&=:.;%[]-_1 \x7f\xff", max_size=12).map(str.encode),
    st.sampled_from([b"", b"/a", b"http://h:1/", b"/a?b=c&"]),
)
def test_usual_targets_are_shown_like_all_others(end: bytes, begin: bytes) -> None:
    target = begin + end
    with pytest.MonkeyPatch.context() as patch:
        shown = loggable_target(target)
        patch.setattr(redact, "_USUAL", re.compile(rb"(?!)"))
        assert loggable_target(target) == shown


@settings(deadline=None)
@given(st.lists(st.text("abc[]_%20", min_size=1, max_size=10), min_size=1, max_size=6))
def test_values_never_show(names: list[str]) -> None:
    query = "&".join(f"{name}=VALUE-{index}=VALUE" for index, name in enumerate(names))
    shown = loggable_target(f"/api/x?{query}".encode())
    assert "VALUE" not in shown
    assert all(name in shown for name in names)


@settings(deadline=None)
@given(st.binary(max_size=600))
def test_whatever_comes_is_one_short_printable_line(target: bytes) -> None:
    shown = loggable_target(target)
    assert shown.isprintable()
    assert len(shown) <= 303


@settings(deadline=None)
@given(st.text("a1+:/?@", max_size=16))
def test_the_first_address_goes(target: str) -> None:
    """The same as this expression removes, which takes time by the square of the length."""
    without = re.sub(r"[A-Za-z][A-Za-z0-9+.-]*+://[^/?]*+", "", target, count=1)
    assert loggable_target(target.encode()) == loggable_target(without.encode())


@pytest.mark.parametrize("piece", [b"x", b"://", b"a1", b"1://", b"%41", b"a=b&"])
def test_a_long_target_takes_time_by_its_length(piece: bytes) -> None:
    """A stranger chooses it; eight times the length would take 64 times as long, if by its square."""

    def cpu_s(length: int) -> float:
        target = b"/" + piece * (length // len(piece))
        took = []
        for _ in range(5):
            began = time.process_time()
            loggable_target(target)
            took.append(time.process_time() - began)
        return min(took)

    assert cpu_s(64_000) < 25 * cpu_s(8_000)
