"""Key ring and host key: made once, private, and never replaced silently."""

from __future__ import annotations

from pathlib import Path

import asyncssh
import pytest

from agent.errors import SettingsError, StartError
from agent.server.data_directory import write_secret_file
from agent.server.keys import HOST_KEY_FILE, KEY_RING_FILE, load_host_key, load_key_ring
from agent.server.vault import KeyRing


def ring_of(data_dir: Path, environ: dict[str, str], *, may_create: bool) -> KeyRing:
    return load_key_ring(data_dir, environ, may_create=may_create).ring


def test_the_first_start_makes_a_private_ring_and_the_next_reads_it(tmp_path: Path) -> None:
    made = ring_of(tmp_path, {}, may_create=True)
    assert (tmp_path / KEY_RING_FILE).stat().st_mode & 0o777 == 0o600
    assert ring_of(tmp_path, {}, may_create=False) == made


def test_a_lost_ring_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is missing, and the database holds API keys"):
        ring_of(tmp_path, {}, may_create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
@pytest.mark.parametrize("name", [KEY_RING_FILE, HOST_KEY_FILE])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, name: str, mode: int) -> None:
    ring_of(tmp_path, {}, may_create=True)
    load_host_key(tmp_path)
    (tmp_path / name).chmod(mode)
    with pytest.raises(SettingsError, match=f"can be read by other users .mode 0{mode:o}.; run chmod 600") as caught:
        ring_of(tmp_path, {}, may_create=True)
        load_host_key(tmp_path)
    assert caught.value.exit_code == 78


def test_the_environment_wins_over_credential_and_file(tmp_path: Path) -> None:
    file, credential, variable = KeyRing.generate(), KeyRing.generate(), KeyRing.generate()
    write_secret_file(tmp_path / KEY_RING_FILE, file.dump(), "key ring")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / KEY_RING_FILE).write_text(credential.dump())
    (credentials / KEY_RING_FILE).chmod(0o440)  # as systemd makes it
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    assert ring_of(tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path / "no")}, may_create=False) == file
    assert ring_of(tmp_path, environ, may_create=False) == credential
    environ["INTEGRATION_SERVER_KEY_RING"] = variable.dump()
    assert ring_of(tmp_path, environ, may_create=False) == variable


def test_the_host_key_is_made_once(tmp_path: Path) -> None:
    made = load_host_key(tmp_path)
    again = load_host_key(tmp_path)
    assert (made.created, again.created) == (True, False)
    assert made.fingerprint == again.fingerprint
    assert made.fingerprint.startswith("SHA256:")
    assert (tmp_path / HOST_KEY_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("agents.example.com:2222", "[agents.example.com]:2222"),
        ("h:22", "h"),
        ("[2001:db8::1]:2222", "[2001:db8::1]:2222"),
    ],
)
def test_the_known_hosts_line_is_understood_by_ssh(tmp_path: Path, address: str, name: str) -> None:
    host_key = load_host_key(tmp_path)
    line = host_key.known_hosts_line(address)
    assert line.split()[0] == name
    host, _, port = address.rpartition(":")
    trusted = asyncssh.import_known_hosts(line).match(host.strip("[]"), "", int(port))[0]
    assert [key.get_fingerprint("sha256") for key in trusted] == [host_key.fingerprint]


@pytest.mark.parametrize("text", ["", "not a key", "-----BEGIN OPENSSH PRIVATE KEY-----\n"])
def test_a_broken_host_key_is_not_replaced(tmp_path: Path, text: str) -> None:
    write_secret_file(tmp_path / HOST_KEY_FILE, text, "SSH host key")
    with pytest.raises(SettingsError, match="restore it from its back-up copy, since agents pin it"):
        load_host_key(tmp_path)
    assert (tmp_path / HOST_KEY_FILE).read_text() == text


def test_a_host_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    write_secret_file(tmp_path / HOST_KEY_FILE, key.export_private_key().decode(), "SSH host key")
    with pytest.raises(SettingsError, match="not an ed25519 key"):
        load_host_key(tmp_path)


def test_a_secret_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_secret_file(path, "first", "secret")
    with pytest.raises(StartError, match="cannot be written"):
        write_secret_file(path, "second", "secret")
    assert path.read_text() == "first"
