"""Settings of the server: order of sources, sentences for what cannot work, where things are by default."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.errors import SettingsError
from agent.server.assembly import gateway_limits, gateway_listener, ssh_config
from agent.server.settings import ServerSettings, default_data_dir, read_settings
from agent.tunnel.flow import LinkLimits
from tests.kit.certificates import CertificateAuthority


def toml(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "server.toml"
    path.write_text(text)
    return path


def test_command_line_wins_over_environment_over_file(tmp_path: Path) -> None:
    file = toml(tmp_path, 'drain_timeout_s = 1\n[ssh]\nlisten = "127.0.0.1:1"\n[gateway]\nlisten = "127.0.0.1:2"\n')
    settings = read_settings(
        file=file,
        environ={"INTEGRATION_SERVER_GATEWAY__LISTEN": "127.0.0.1:3", "INTEGRATION_SERVER_DRAIN_TIMEOUT_S": "2"},
        overrides={"drain_timeout_s": 3.0},
    )
    assert (settings.ssh.listen, settings.gateway.listen, settings.drain_timeout_s) == (
        "127.0.0.1:1",
        "127.0.0.1:3",
        3.0,
    )


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    file = toml(tmp_path, 'public_ssh_address = "agents.example.com:443"\n')
    settings = read_settings(file=None, environ={"INTEGRATION_SERVER_CONFIG": str(file)}, overrides={})
    assert settings.public_ssh_address == "agents.example.com:443"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[gateway]\nlisten = \n", "line 2"),
        ('[gateway]\nlisen = "127.0.0.1:1"\n', 'did you mean "gateway.listen"'),
        ('[ssh]\nlisten = "2222"\n', "must be written host:port"),
        ('[ssh]\nlisten = "0.0.0.0:70000"\n', "must be written host:port"),
        ('data_dir = "data"\n', "must be an absolute path"),
        ('public_ssh_address = "agents.example.com:0"\n', "must name the port"),
        ('public_gateway_url = "gateway.example.com"\n', "must be an address such as https://"),
        ('public_gateway_url = "https://key@gateway.example.com/"\n', "without query or user name"),
        ('trusted_proxies = ["proxy"]\n', "must be IP addresses or networks"),
        ('[cloud]\nallow_private_origins = ["10.0.0.0/99"]\n', "must be IP addresses or networks"),
        ('[gateway]\ntls_certificate_file = "/c.pem"\n', '"gateway.tls_key_file" is missing'),
        ('[gateway]\ntls_key_file = "/k.pem"\n', '"gateway.tls_certificate_file" is missing'),
        ("drain_timeout_s = -1\n", "drain_timeout_s"),
        ('[metrics]\nlisten = "0.0.0.0:9463"\n', "metrics.allow_remote"),
        ('[metrics]\nlisten = "prometheus.test:9463"\n', "metrics.allow_remote"),
        ('[log]\nlevel = "loud"\n', "log.level"),
    ],
)
def test_what_cannot_work_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(file=toml(tmp_path, text), environ={}, overrides={})
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("listen", ["127.0.0.1:9463", "[::1]:9463", "localhost:9463"])
def test_metrics_are_told_on_this_machine_or_where_that_is_allowed(tmp_path: Path, listen: str) -> None:
    settings = read_settings(file=toml(tmp_path, f'[metrics]\nlisten = "{listen}"\n'), environ={}, overrides={})
    assert settings.metrics.listen == listen
    open_one = '[metrics]\nlisten = "0.0.0.0:9463"\nallow_remote = true\n'
    assert read_settings(file=toml(tmp_path, open_one), environ={}, overrides={}).metrics.allow_remote


def test_the_key_ring_in_the_environment_is_no_unknown_setting() -> None:
    environ = {"INTEGRATION_SERVER_KEY_RING": "1:c2VjcmV0"}
    settings = read_settings(file=None, environ=environ, overrides={"data_dir": Path("/srv/x")})
    assert settings.data_dir == Path("/srv/x")


def test_the_admin_socket_is_beside_the_data_but_in_run_for_the_system() -> None:
    assert ServerSettings().admin_socket_path == Path("/run/integration-server/admin.sock")
    assert ServerSettings(data_dir=Path("/srv/x")).admin_socket_path == Path("/srv/x/admin.sock")
    assert ServerSettings(admin_socket=Path("/srv/y.sock")).admin_socket_path == Path("/srv/y.sock")


def test_data_directories(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert default_data_dir({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}) == Path("/var/lib/a")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_dir({}) == Path("/var/lib/integration-server")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_data_dir({}) == tmp_path / ".local/state/integration-server"
    assert default_data_dir({"XDG_STATE_HOME": "/x/state"}) == Path("/x/state/integration-server")
    assert default_data_dir({"XDG_STATE_HOME": "relative"}) == tmp_path / ".local/state/integration-server"


@pytest.mark.parametrize(
    ("listen", "proxies", "host", "explained"),
    [
        ("0.0.0.0:8080", [], "127.0.0.1", True),
        ("[::]:8080", [], "::1", True),
        ("gateway.example.com:8080", [], "127.0.0.1", True),
        ("192.0.2.7:8080", [], "127.0.0.1", True),
        ("127.0.0.1:8080", [], "127.0.0.1", False),
        ("127.8.0.1:8080", [], "127.8.0.1", False),
        ("localhost:8080", [], "localhost", False),
        ("[::1]:8080", [], "::1", False),
        ("0.0.0.0:8080", ["192.0.2.1"], "0.0.0.0", False),
    ],
)
def test_without_tls_or_proxy_only_this_machine_can_connect(
    listen: str, proxies: list[str], host: str, explained: bool
) -> None:
    settings = ServerSettings.model_validate({"gateway": {"listen": listen}, "trusted_proxies": proxies})
    found_host, port, reason = gateway_listener(settings).address()
    assert (found_host, port) == (host, 8080)
    assert bool(reason) == explained
    assert not explained or ("readable" in reason and "trusted_proxies" in reason)


def test_a_certificate_opens_the_gateway_to_all(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    certificate, key = authority.issue("gateway.example.com")
    gateway = {"listen": "0.0.0.0:443", "tls_certificate_file": certificate, "tls_key_file": key}
    settings = ServerSettings.model_validate({"gateway": gateway})
    assert gateway_listener(settings).address() == ("0.0.0.0", 443, "")
    assert gateway_listener(settings).tls() is not None


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_unusable_certificate_is_one_sentence(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "c.pem"
    if content is not None:
        file.write_text(content)
    gateway = {"tls_certificate_file": file, "tls_key_file": file}
    with pytest.raises(SettingsError, match="cannot be used"):
        gateway_listener(ServerSettings.model_validate({"gateway": gateway})).tls()


def test_limits_reach_the_parts() -> None:
    settings = ServerSettings.model_validate(
        {
            "gateway": {"queue_max": 7, "park_drain_timeout_s": 8, "body_max_bytes": 9, "client_head_timeout_s": 3},
            "ssh": {"unauthenticated_max": 5, "unauthenticated_per_source_max": 2, "login_timeout_s": 4},
        }
    )
    limits = gateway_limits(settings)
    assert (limits.queue_max, limits.park_drain_s, limits.body_max_bytes, limits.client_head_s) == (7, 8, 9, 3)
    config = ssh_config(settings, lambda action, fields: None)
    assert (config.door.total_max, config.door.per_source_max, config.login_timeout_s) == (5, 2, 4)
    assert config.door.waiting_s == pytest.approx(2.4), "who comes in later has no time left for the login"


@pytest.mark.parametrize(
    ("ssh", "heartbeat_s", "silence_s"),
    [
        ({}, 10, 25),
        ({"heartbeat_interval_s": 4}, 4, 25),
        ({"heartbeat_interval_s": 60, "silence_timeout_s": 600}, 60, 600),
        ({"silence_timeout_s": 2}, 0.8, 2),  # an agent has two chances to be heard, whatever was set
    ],
)
def test_the_limit_of_silence_reaches_heartbeats_and_kernel(
    ssh: dict[str, float], heartbeat_s: float, silence_s: float
) -> None:
    config = ssh_config(ServerSettings.model_validate({"ssh": ssh}), lambda action, fields: None)
    assert (config.heartbeat_interval_s, config.silence_limit_s) == (heartbeat_s, silence_s)
    assert config.link == LinkLimits.within(silence_s)
