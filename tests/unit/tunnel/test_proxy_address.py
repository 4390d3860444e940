"""Reading a proxy's address: schemes, ports, logins, and what is refused without being repeated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tunnel.proxy_address import ProxyAddress, ProxyLogin, Scheme, read_proxy_address


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port"),
    [
        ("http://proxy.example.com:3128", "http", "proxy.example.com", 3128),
        ("HTTP://Proxy.Example.com.:3128/", "http", "proxy.example.com", 3128),
        ("proxy:8080", "http", "proxy", 8080),
        ("  10.0.0.1:8080\n", "http", "10.0.0.1", 8080),
        ("http://[2001:DB8::1]:3128", "http", "2001:db8::1", 3128),
        ("socks5://proxy_1", "socks5", "proxy_1", 1080),
        ("socks5h://proxy:", "socks5h", "proxy", 1080),
        ("socks5h://[::1]", "socks5h", "::1", 1080),
        ("http://b\u00fccher.example:80", "http", "xn--bcher-kva.example", 80),
    ],
)
def test_addresses(text: str, scheme: Scheme, host: str, port: int) -> None:
    assert read_proxy_address(text) == ProxyAddress(scheme, host, port)


def test_an_address_is_shown_as_it_would_be_written() -> None:
    for text in ("http://proxy.example.com:3128", "socks5h://[2001:db8::1]:1080", "socks5://10.0.0.1:1080"):
        assert str(read_proxy_address(text)) == text


@pytest.mark.parametrize(
    ("userinfo", "username", "password"),
    [
        ("shop:pw", b"shop", b"pw"),
        ("shop", b"shop", b""),
        ("shop:", b"shop", b""),
        ("a%40b:p%3Aq%2Fr%25", b"a@b", b"p:q/r%"),
        ("shop:a@b/c?d#e:f", b"shop", b"a@b/c?d#e:f"),
        ("shop:100%", b"shop", b"100%"),
        ("shop:p\u00e4", b"shop", b"p\xc3\xa4"),
        ("shop:p\udce4", b"shop", b"p\xe4"),
    ],
)
def test_logins_are_percent_decoded_and_end_at_the_last_at_sign(
    userinfo: str, username: bytes, password: bytes
) -> None:
    address = read_proxy_address(f"http://{userinfo}@proxy:3128")
    assert address.login == ProxyLogin(username, password)
    assert address.host == "proxy"


def test_a_login_is_never_shown() -> None:
    address = read_proxy_address("http://shop:t0psecret@proxy:3128")
    assert "t0psecret" not in f"{address} {address!r} {address.login} {address.login!r}"
    assert "shop" not in str(address)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "must be an address"),
        ("http://", "must be an address"),
        ("http://:3128", "must be an address"),
        ("ftp://proxy:21", "must be an address"),
        ("http://proxy", "has no port"),
        ("http://proxy:", "has no port"),
        ("http://proxy:0", "between 1 and 65535"),
        ("http://proxy:65536", "between 1 and 65535"),
        ("http://proxy:" + "9" * 5000, "between 1 and 65535"),
        ("http://proxy:3128/proxy.pac", "a proxy script (PAC) is not read"),
        ("http://proxy:3128?x", "must end with the port"),
        ("http://proxy:31a", "must end with the port"),
        ("http://pro xy:3128", "neither a name nor an address"),
        ("http://pro\r\nxy:3128", "neither a name nor an address"),
        ("http://pro\0xy:3128", "neither a name nor an address"),
        ("http://[::1%eth0]:3128", "neither a name nor an address"),
        ("http://::1:3128", "must be an address"),
        ("https://proxy:443", "a connection to a proxy by TLS is not supported"),
        ("socks://proxy", "socks5h://"),
        ("socks4://proxy", "socks5h://"),
        ("socks4a://proxy", "socks5h://"),
        ("http://:t0psecret@proxy:3128", "empty user name"),
        ("http://a%3Ab:t0psecret@proxy:3128", "colon in the user name"),
        ("http://shop:t0psecret%0d%0aX:1@proxy:3128", "control character in the password"),
        ("http://sh%00op:t0psecret@proxy:3128", "control character in the user name"),
        ("socks5://shop:t0psecret" + "x" * 255 + "@proxy", "password of over 255 bytes"),
        ("http://shop:t0psecret" + "x" * 4096 + "@proxy:1", "password of over 4096 bytes"),
        ("http://shop:t0psecret@proxy", "has no port"),
        ("http://shop:t0psecret@", "must be an address"),
        ("ftp://shop:t0psecret@proxy:21", "must be an address"),
    ],
)
def test_what_is_refused_is_not_repeated(text: str, wanted: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|has|holds|begins)") as caught:
        read_proxy_address(text)
    assert wanted in str(caught.value)
    assert "t0psecret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_socks_carries_a_colon_in_the_user_name() -> None:
    assert read_proxy_address("socks5://a%3Ab:c@proxy").login == ProxyLogin(b"a:b", b"c")


@given(
    st.sampled_from(["", "http://", "socks5://u:p@"]),
    st.text(alphabet=st.sampled_from("htps5:/@[]%.-_019af?#,* \r\n\0\u00fc\udce4"), max_size=40),
)
def test_any_text_is_an_address_or_one_sentence(start: str, rest: str) -> None:
    try:
        address = read_proxy_address(start + rest)
    except ValueError as error:
        assert not isinstance(error, UnicodeError)
        assert str(error).isprintable()
    else:
        assert read_proxy_address(str(address)) == ProxyAddress(address.scheme, address.host, address.port)
