"""The server's own keys: key ring for the vault and SSH host key, made on first start, 0600."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncssh

from agent.errors import SettingsError, StartError
from agent.server.data_directory import read_secret_file, replace_secret_file, write_secret_file
from agent.server.vault import KeyRing

KEY_RING_FILE: Final = "key-ring"
KEY_RING_VARIABLE: Final = "INTEGRATION_SERVER_KEY_RING"
HOST_KEY_FILE: Final = "ssh_host_ed25519_key"
HOST_KEY_ALGORITHM: Final = "ssh-ed25519"

_KEY_RING_NOTE: Final = (
    "# Opens the API keys in the database. Keep a copy, but never together with a copy of the database.\n"
)


@dataclass(frozen=True, slots=True)
class HostKey:
    """The SSH host key; ``created`` is True on the start that made it."""

    key: asyncssh.SSHKey
    created: bool

    @property
    def fingerprint(self) -> str:
        """``SHA256:...``, as access tokens pin it and as ``ssh-keygen -l`` shows it."""
        return self.key.get_fingerprint("sha256")

    def known_hosts_line(self, address: str) -> str:
        """The line for OpenSSH's known_hosts; ``address`` is ``host:port``."""
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        name = host if port == "22" else f"[{host}]:{port}"
        algorithm, key = self.key.export_public_key().decode().split()[:2]
        return f"{name} {algorithm} {key}"


@dataclass(frozen=True, slots=True)
class KeyRingSource:
    """The key ring, and the file it is kept in; None when it comes from the environment or a credential."""

    ring: KeyRing
    file: Path | None

    def replace(self, ring: KeyRing) -> KeyRingSource:
        """Keep another ring in the file, whole or not at all. Raises StartError, also where there is no file."""
        if self.file is None:
            raise StartError(
                "The key ring comes from the environment or a credential, which this program cannot write: change it "
                f"there (a new key is a last line {max(ring.keys)}:BASE64, BASE64 from openssl rand -base64 32), "
                "restart the server, then run integration-server keys rotate."
            )
        replace_secret_file(self.file, _KEY_RING_NOTE + ring.dump(), "key ring")
        return KeyRingSource(ring, self.file)


def load_key_ring(data_dir: Path, environ: Mapping[str, str], *, may_create: bool) -> KeyRingSource:
    """The key ring from the environment, a systemd credential or the data directory, in this order.

    Without one it is made in the data directory, but only when ``may_create``: with sealed API keys in the
    database a new ring would hide that the old one is lost.

    Raises SettingsError when the ring is readable by others, broken, or missing and may not be made.
    """
    text = environ.get(KEY_RING_VARIABLE)
    if text:
        return KeyRingSource(KeyRing.parse(text, f"the environment variable {KEY_RING_VARIABLE}"), None)
    text = read_credential(environ, KEY_RING_FILE)
    if text is not None:
        return KeyRingSource(KeyRing.parse(text, f"the credential {KEY_RING_FILE}"), None)
    path = data_dir / KEY_RING_FILE
    text = read_secret_file(path, "key ring")
    if text is not None:
        return KeyRingSource(KeyRing.parse(text, str(path)), path)
    if not may_create:
        raise SettingsError(
            f"The key ring {path} is missing, and the database holds API keys that only it can open; "
            "restore it from its back-up copy."
        )
    ring = KeyRing.generate()
    write_secret_file(path, _KEY_RING_NOTE + ring.dump(), "key ring")
    return KeyRingSource(ring, path)


def read_credential(environ: Mapping[str, str], name: str) -> str | None:
    """The systemd credential of this name, without blanks around it; None when there is none. Raises SettingsError."""
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        return None
    # systemd makes credentials 0440 root-owned inside a directory that only the service can enter.
    credential = Path(directory) / name
    try:
        return credential.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"The credential {credential} cannot be read; check LoadCredential=.") from None


def load_host_key(data_dir: Path) -> HostKey:
    """The SSH host key in ``data_dir``, made there when it is missing.

    Raises SettingsError when it is readable by others or not an ed25519 key.
    """
    path = data_dir / HOST_KEY_FILE
    text = read_secret_file(path, "SSH host key")
    if text is None:
        made = asyncssh.generate_private_key(HOST_KEY_ALGORITHM, comment="integration-server")
        write_secret_file(path, made.export_private_key("openssh").decode(), "SSH host key")
        return HostKey(made, created=True)
    try:
        key = asyncssh.import_private_key(text)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        raise SettingsError(
            f"The SSH host key {path} cannot be read as a private key without passphrase; "
            "restore it from its back-up copy, since agents pin it."
        ) from None
    if key.get_algorithm() != HOST_KEY_ALGORITHM:
        raise SettingsError(f"The SSH host key {path} is not an ed25519 key, which agents ask for; replace it.")
    return HostKey(key, created=False)
