"""Settings: where they come from, which source wins, and what a wrong one is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agent.errors import SettingsError
from agent.settings import AgentSettings, StoreSettings, load_settings, split_address
from agent.settings_errors import table_of
from agent.settings_loader import leaf_fields

STORE = '[[stores]]\nurl = "https://shop.example.com/api/"\n'


def load(
    file: Path | None = None, environ: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
) -> AgentSettings:
    return load_settings(
        AgentSettings, file=file, env_prefix="PRESTASHOP_AGENT_", environ=environ or {}, overrides=overrides or {}
    )


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "agent.toml"


def complaint(toml: Path, text: str, environ: Mapping[str, str] | None = None) -> str:
    toml.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(toml, environ)
    assert caught.value.exit_code == 78
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_defaults_need_nothing() -> None:
    settings = load()
    assert settings.tunnels == 2
    assert settings.timeouts.store_first_byte_s == 120
    assert settings.stores == ()


def test_command_line_beats_environment_beats_file_beats_default(toml: Path) -> None:
    toml.write_text('tunnels = 3\n[timeouts]\ndrain_s = 1\nssh_login_s = 1\nstore_tls_s = 1\n[log]\nlevel = "error"\n')
    environ = {"PRESTASHOP_AGENT_TIMEOUTS__SSH_LOGIN_S": "2", "PRESTASHOP_AGENT_TIMEOUTS__DRAIN_S": "2"}
    settings = load(toml, environ, {"timeouts": {"drain_s": 3}})
    timeouts = settings.timeouts
    assert (timeouts.drain_s, timeouts.ssh_login_s, timeouts.store_tls_s, timeouts.store_connect_s) == (3, 2, 1, 5)
    assert (settings.tunnels, settings.log.level) == (3, "error")


def test_the_environment_takes_lists_as_json_and_passes_over_empty_variables(toml: Path) -> None:
    toml.write_text(STORE)
    stores = json.dumps([{"url": "http://10.0.0.5/", "methods": "write"}])
    settings = load(toml, {"PRESTASHOP_AGENT_STORES": stores, "PRESTASHOP_AGENT_TUNNELS": ""})
    assert [store.url for store in settings.stores] == ["http://10.0.0.5/"]
    assert set(settings.stores[0].methods) == {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
    assert settings.tunnels == 2


def test_a_store_is_read_only_unless_more_is_said(toml: Path) -> None:
    toml.write_text(
        STORE + 'resources = ["products", "orders"]\n' + STORE.replace("shop.", "b.") + 'methods = ["get"]\n'
    )
    first, second = load(toml).stores
    assert first.methods == ("GET", "HEAD")
    assert first.resources == ("products", "orders")
    assert second.methods == ("GET",)
    assert second.resources is None
    assert first.verify is True


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("tunels = 3", ['"tunels"', 'did you mean "tunnels"']),
        ("[timeouts]\nstore_conect_s = 3", ['"timeouts.store_conect_s"', 'did you mean "timeouts.store_connect_s"']),
        ("ssh_login_s = 3", ['"ssh_login_s"', 'did you mean "timeouts.ssh_login_s"']),
        ("[stores]\nurl = 'x'", ['"stores"', "a table", "[[stores]]"]),
        ("[[stores]]\nadress = 'x'", ['"stores[0].adress"']),
        (STORE + STORE + "metods = 'read'", ['"stores[1].metods"', 'did you mean "stores[1].methods"']),
        ("[[stores]]\nmethods = 'read'", ['"stores[0].url" is missing', "Address of the shop"]),
        ("zzzzzz = 1", ['"zzzzzz"', "known here are", "tunnels"]),
        (STORE + "tunels = 3", ['"stores[0].tunels"', '"tunnels" belongs to no table', "above the first line"]),
        ("[loging]\nlevel = 'info'", ['"loging"', 'did you mean "log"']),
    ],
)
def test_an_unknown_key_is_named_with_its_file_and_the_nearest_known_one(
    toml: Path, text: str, parts: list[str]
) -> None:
    sentence = complaint(toml, text)
    assert str(toml) in sentence
    for part in parts:
        assert part in sentence


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("tunnels = 9", ['"tunnels"', "is 9", "less than or equal to 8"]),
        ("tunnels = 'two'", ['"tunnels"', 'is "two"', "whole number"]),
        ("[timeouts]\ndrain_s = -1", ['"timeouts.drain_s"', "is -1", "greater than or equal to 0"]),
        ("[log]\nlevel = 'loud'", ['"log.level"', 'is "loud"', "'debug', 'info', 'warning' or 'error'"]),
        ("state_dir = 'here'", ['"state_dir"', "absolute path"]),
        (STORE + "methods = 'all'", ['"stores[0].methods"', '"read", "write" or a list']),
        (STORE + "methods = ['GET', 'TRACE']", ['"stores[0].methods[1]"', 'is "TRACE"']),
        (STORE + "methods = []", ['"stores[0].methods"', "at least 1"]),
        (STORE + "connect = 'a:b'", ['"stores[0].connect"', '"host:port"']),
        (STORE + "connect = 'shop..lan:8080'", ['"stores[0].connect"', "host name"]),
        (STORE + "connect = '[fe80::1%eth0]:80'", ['"stores[0].connect"', "without zone"]),
        (STORE + "connect = '010.0.0.1'", ['"stores[0].connect"', "IP address"]),
        (STORE + "server_name = 'bad..name'", ['"stores[0].server_name"', "host name"]),
        (STORE + "server_name = 'a\\u0000b'".replace("'", '"'), ['"stores[0].server_name"', "host name"]),
        (STORE + "verify = 'maybe'", ['"stores[0].verify"', "valid boolean"]),
        (STORE + "forward_fields = ['Cookie']", ['"stores[0].forward_fields[0]"', "may be let through"]),
        (STORE + "resources = ['products/1']", ['"stores[0].resources[0]"']),
        ("[[stores]]\nurl = 'ftp://shop/'", ['"stores[0].url"', "http:// or https://"]),
        ("tunnels = 0\n[timeouts]\ndrain_s = -1", ["and 1 more wrong setting"]),
    ],
)
def test_a_wrong_value_names_the_key_what_was_given_and_what_is_wanted(toml: Path, text: str, parts: list[str]) -> None:
    sentence = complaint(toml, text)
    assert str(toml) in sentence
    for part in parts:
        assert part in sentence


@pytest.mark.parametrize(
    ("text", "line"),
    [("tunnels = 2\nstate_dir = \n", 2), ("[log\n", 1), ("a = 1\nb = 2\nc = [1,", 3), ("x", 1), ("a = 1\na = 2\n", 2)],
)
def test_broken_toml_names_file_and_line(toml: Path, text: str, line: int) -> None:
    sentence = complaint(toml, text)
    assert f"{toml}, line {line}" in sentence
    assert "not valid TOML" in sentence


def test_a_file_that_was_asked_for_must_be_there_and_be_a_text_file(tmp_path: Path) -> None:
    for file, words in ((tmp_path / "no.toml", "There is no settings file"), (tmp_path, "is a directory")):
        with pytest.raises(SettingsError, match=words):
            load(file)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# caf\xe9\n")
    with pytest.raises(SettingsError, match="not UTF-8 at byte 5"):
        load(latin)


def test_a_byte_order_mark_and_crlf_do_no_harm(toml: Path) -> None:
    toml.write_bytes(b"\xef\xbb\xbftunnels = 4\r\n")
    assert load(toml).tunnels == 4


@pytest.mark.parametrize(
    ("environ", "parts"),
    [
        ({"PRESTASHOP_AGENT_TUNELS": "1"}, ['"PRESTASHOP_AGENT_TUNELS"', 'mean "PRESTASHOP_AGENT_TUNNELS"']),
        ({"prestashop_agent_tunels": "1"}, ['mean "PRESTASHOP_AGENT_TUNNELS"']),
        ({"PRESTASHOP_AGENT_LOG__LEVL": "info"}, ['mean "PRESTASHOP_AGENT_LOG__LEVEL"']),
        ({"PRESTASHOP_AGENT_LOG_LEVEL": "info"}, ['"PRESTASHOP_AGENT_LOG_LEVEL"']),
        ({"PRESTASHOP_AGENT_TUNNELS": "many"}, ['"PRESTASHOP_AGENT_TUNNELS"', 'is "many"', "whole number"]),
        ({"PRESTASHOP_AGENT_STORES": "http://h/"}, ["PRESTASHOP_AGENT_STORES is not valid JSON", "[...]"]),
        ({"PRESTASHOP_AGENT_STORES__0__URL": "http://h/"}, ["PRESTASHOP_AGENT_STORES__0__URL", "whole list as JSON"]),
        ({"PRESTASHOP_AGENT_LOG": '{"levl": "info"}'}, ['mean "PRESTASHOP_AGENT_LOG__LEVEL"']),
    ],
)
def test_wrong_variables_are_named(toml: Path, environ: dict[str, str], parts: list[str]) -> None:
    sentence = complaint(toml, "", environ)
    assert "environment" in sentence
    for part in parts:
        assert part in sentence


def test_what_kubernetes_writes_for_a_service_of_our_name_is_not_a_setting() -> None:
    linked = {
        "PRESTASHOP_AGENT_SERVICE_HOST": "10.0.0.1",
        "PRESTASHOP_AGENT_SERVICE_PORT_HTTP": "80",
        "PRESTASHOP_AGENT_PORT": "tcp://10.0.0.1:80",
        "PRESTASHOP_AGENT_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert load(environ=linked).tunnels == 2


SECRET = "psa1_c2VjcmV0LXNlY3JldC1zZWNyZXQ"


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        (f"token = '{SECRET}'", {}),
        (f"access_token = '{SECRET}'", {}),
        ("", {"PRESTASHOP_AGENT_TOKEN": SECRET}),
        ("", {"PRESTASHOP_AGENT_ACCESS_TOKEN": SECRET}),
    ],
)
def test_the_token_itself_is_sent_to_a_file_and_never_shown(toml: Path, text: str, environ: dict[str, str]) -> None:
    sentence = complaint(toml, text, environ)
    assert SECRET not in sentence
    assert "token_file" in sentence
    assert "file of its own" in sentence


@pytest.mark.parametrize(
    "text",
    [
        f"[[stores]]\nurl = 'https://h/admin/index.php?controller=AdminLogin&token={SECRET}'\nmethods = 4",
        f"[[stores]]\nurl = 'https://{SECRET}@h/'",
        f"[[stores]]\nurl = 'gopher://h/?token={SECRET}'",
        f"[[stores]]\nurl = ['https://h/?token={SECRET}']",
        f"[[stores]]\nws_key = '{SECRET}'",
        f"[[stores]]\nurl = 'https://{SECRET}@h/{'x' * 3000}'",
    ],
)
def test_secrets_in_wrong_settings_are_not_repeated(toml: Path, text: str) -> None:
    assert SECRET not in complaint(toml, text)


def test_the_representation_of_a_store_does_not_hold_the_token_of_its_address() -> None:
    store = StoreSettings(url=f"https://h/admin/index.php?controller=AdminLogin&token={SECRET}")
    assert SECRET not in repr(store)


@hypothesis_settings(deadline=None)
@given(
    st.text(max_size=200),
    st.dictionaries(
        st.sampled_from(["TUNNELS", "LOG", "LOG__LEVEL", "STORES", "STATE_DIR", "TIMEOUTS__DRAIN_S", "X", "STORES__0"]),
        st.text(max_size=60).filter(lambda text: "\0" not in text),
    ),
)
def test_whatever_is_given_ends_in_settings_or_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, text: str, variables: dict[str, str]
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text(text, encoding="utf-8", newline="")
    try:
        load(file, {f"PRESTASHOP_AGENT_{name}": value for name, value in variables.items()})
    except SettingsError as error:
        assert str(error)
        assert "\n" not in str(error)


@hypothesis_settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda x: st.lists(x) | st.dictionaries(st.text(max_size=8), x),
    )
)
def test_no_value_of_any_key_escapes_the_loader(value: Any) -> None:
    for key in AgentSettings.model_fields:
        try:
            load(overrides={key: value})
        except SettingsError as error:
            assert key in str(error)


def test_every_setting_says_what_it_is_for() -> None:
    for name, field in leaf_fields(AgentSettings):
        assert field.description, name
        table = table_of(field.annotation)
        for inner in table.model_fields.values() if table else ():
            assert inner.description, f"{name}: {inner}"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("shop.internal", ("shop.internal", 443)),
        ("10.0.0.5:8080", ("10.0.0.5", 8080)),
        ("[2001:db8::5]", ("2001:db8::5", 443)),
        ("[2001:db8::5]:81", ("2001:db8::5", 81)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert split_address(text, 443) == address


@pytest.mark.parametrize(
    "text", ["", ":80", "h:", "h:0", "h:65536", "h:x", "2001:db8::5", "[::1", "a/b", "a@b:1", "h:٣", "é"]
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        split_address(text, 443)
