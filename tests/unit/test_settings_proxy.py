"""The [proxy] table: what counts, what is refused, and that no sentence shows a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import SettingsError
from agent.settings import load_agent_settings
from agent.settings_proxy import read_proxy_route
from agent.tunnel.proxy_address import ProxyAddress, ProxyLogin
from agent.tunnel.proxy_route import ProxyRoute

PASSWORD = "t0p-secret"


def route(directory: Path, table: str, environ: dict[str, str] | None = None) -> ProxyRoute | None:
    """What a settings file with this table leads to."""
    file = directory / "agent.toml"
    file.write_text(table)
    environ = environ or {}
    settings, _ = load_agent_settings(file, environ, {}, is_root=False)
    return read_proxy_route(settings.proxy, environ)


def refusal(directory: Path, table: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        route(directory, table, environ)
    sentence = str(caught.value)
    assert PASSWORD not in sentence
    assert "t0p" not in sentence
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))
    return sentence


def password_file(directory: Path, content: bytes = PASSWORD.encode() + b"\n", mode: int = 0o600) -> Path:
    file = directory / "proxy-password"
    file.write_bytes(content)
    file.chmod(mode)
    return file


def test_url_and_login(tmp_path: Path) -> None:
    table = f'[proxy]\nurl = "http://p.test:3128"\nusername = "shop"\npassword_file = "{password_file(tmp_path)}"\n'
    found = route(tmp_path, table, {"https_proxy": "http://other.test:1", "no_proxy": "*"})
    assert found is not None
    assert found.address == ProxyAddress("http", "p.test", 3128, ProxyLogin(b"shop", PASSWORD.encode()))
    assert found.leads_to("a.test", 22)  # the environment's exceptions belong to the environment's proxy
    assert str(found) == "http://p.test:3128 (proxy.url)"
    assert PASSWORD not in repr(found)


def test_blanks_in_a_password_are_kept_and_a_user_without_password_is_possible(tmp_path: Path) -> None:
    file = password_file(tmp_path, b" p w \r\n")
    found = route(tmp_path, f'[proxy]\nurl = "socks5://p.test"\nusername = "shop"\npassword_file = "{file}"\n')
    assert found is not None
    assert found.address.login == ProxyLogin(b"shop", b" p w ")
    found = route(tmp_path, '[proxy]\nurl = "socks5://p.test"\nusername = "shop"\n')
    assert found is not None
    assert found.address.login == ProxyLogin(b"shop", b"")


def test_exemptions_of_the_settings(tmp_path: Path) -> None:
    found = route(tmp_path, '[proxy]\nurl = "http://p.test:3128"\nno_proxy = ["a.test", "10.0.0.0/8"]\n')
    assert found is not None
    assert [found.leads_to(host, 22) for host in ("a.test", "10.1.1.1", "b.test")] == [False, False, True]


@pytest.mark.parametrize("url", ["none", "NONE", " none "])
def test_none_switches_the_environment_off(tmp_path: Path, url: str) -> None:
    environ = {"https_proxy": "http://other.test:1"}
    assert route(tmp_path, f'[proxy]\nurl = "{url}"\nusername = "left over"\n', environ) is None
    assert route(tmp_path, "", environ) is not None
    assert route(tmp_path, "", {**environ, "PRESTASHOP_AGENT_PROXY__URL": "none"}) is None


def test_our_own_variables(tmp_path: Path) -> None:
    environ = {
        "PRESTASHOP_AGENT_PROXY__URL": "http://p.test:3128",
        "PRESTASHOP_AGENT_PROXY__USERNAME": "shop",
        "PRESTASHOP_AGENT_PROXY__PASSWORD_FILE": str(password_file(tmp_path)),
        "PRESTASHOP_AGENT_PROXY__NO_PROXY": '["a.test"]',
        "https_proxy": "nonsense",
    }
    found = route(tmp_path, "", environ)
    assert found is not None
    assert found.address.login == ProxyLogin(b"shop", PASSWORD.encode())
    assert not found.leads_to("a.test", 1)


@pytest.mark.parametrize(
    "url",
    [
        f"http://shop:{PASSWORD}@p.test:3128",
        f"shop:{PASSWORD}@p.test:3128",
        "http://shop:t0p/s?e#c@ret@p.test:3128",
        "http://shop@p.test:3128",
    ],
)
def test_a_login_in_the_url_is_refused_with_the_place_for_it(tmp_path: Path, url: str) -> None:
    sentence = refusal(tmp_path, f'[proxy]\nurl = "{url}"\n')
    assert '"proxy.username"' in sentence
    assert '"password_file"' in sentence
    assert "0600" in sentence


@pytest.mark.parametrize(
    ("table", "environ"),
    [
        (f'[proxy]\npassword = "{PASSWORD}"\n', {}),
        ("", {"PRESTASHOP_AGENT_PROXY__PASSWORD": PASSWORD}),
    ],
)
def test_a_password_among_the_settings_is_refused(tmp_path: Path, table: str, environ: dict[str, str]) -> None:
    assert '"password_file"' in refusal(tmp_path, table, environ)


@pytest.mark.parametrize(
    "value", [f"http://shop:{PASSWORD}@p.test:1", "http://shop:t0p/s?e#c@ret@p.test:1", "shop:t0p@p.test:1"]
)
def test_an_address_in_the_place_of_the_table_is_not_shown(tmp_path: Path, value: str) -> None:
    assert '"proxy"' in refusal(tmp_path, f'proxy = "{value}"\n')
    assert "PROXY" in refusal(tmp_path, "", {"PRESTASHOP_AGENT_PROXY": value})


@pytest.mark.parametrize(
    ("table", "wanted"),
    [
        ('url = "https://p.test:3128"', 'The setting "proxy.url" begins with https://'),
        ('url = ""', 'The setting "proxy.url" must be an address'),
        ('url = "http://p.test"', "has no port"),
        ("url = 3128", '"proxy.url"'),
        ('username = "shop"', '"proxy.username" has no effect without "proxy.url"'),
        ('no_proxy = ["a.test"]', '"proxy.no_proxy" has no effect without "proxy.url"'),
        ('password_file = "/x"', '"proxy.password_file" has no effect without "proxy.url"'),
        ('url = "http://p.test:1"\npassword_file = "/x"', '"proxy.username" is missing'),
        ('url = "http://p.test:1"\npassword_file = "x"', "absolute path"),
        ('url = "http://p.test:1"\nusername = "a:b"', "colon in the user name"),
        ('url = "http://p.test:1"\nusername = ""', "empty user name"),
        ('url = "http://p.test:1"\nusername = "a\\r\\nb"', "control character"),
        ('url = "http://p.test:1"\nno_proxy = ["http://a"]', '"proxy.no_proxy" must hold names'),
        ('url = "http://p.test:1"\nuser = "a"', 'did you mean "proxy.username"'),
    ],
)
def test_wrong_tables(tmp_path: Path, table: str, wanted: str) -> None:
    assert wanted in refusal(tmp_path, f"[proxy]\n{table}\n")


def test_a_password_file_others_can_read_is_refused(tmp_path: Path) -> None:
    table = '[proxy]\nurl = "http://p.test:1"\nusername = "shop"\npassword_file = "{}"\n'
    file = password_file(tmp_path, mode=0o640)
    assert f"chmod 600 {file}" in refusal(tmp_path, table.format(file))
    assert "does not exist" in refusal(tmp_path, table.format(tmp_path / "absent"))
    assert "not a regular file" in refusal(tmp_path, table.format(tmp_path))
    assert "is empty" in refusal(tmp_path, table.format(password_file(tmp_path, b" \n")))
    assert "control character in the password" in refusal(
        tmp_path, table.format(password_file(tmp_path, b"t0p\nsecret\n"))
    )


def test_a_systemd_credential_may_show_group_bits(tmp_path: Path) -> None:
    file = password_file(tmp_path, mode=0o440)
    table = f'[proxy]\nurl = "http://p.test:1"\nusername = "shop"\npassword_file = "{file}"\n'
    found = route(tmp_path, table, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert found is not None
    assert "chmod" in refusal(tmp_path, table, {"CREDENTIALS_DIRECTORY": "/run/credentials/x"})
