"""The archive of a back-up on the disk: packed and unpacked piece by piece, so that memory does not grow with it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from agent.server.db.database import DATABASE_FILE
from agent.server.db.full_disk import is_full
from agent.server.keys import HOST_KEY_FILE, KEY_RING_FILE

FORMAT: Final = "integration-server-backup/1"
MANIFEST: Final = "manifest.json"
KEYS: Final = (KEY_RING_FILE, HOST_KEY_FILE)
SMALL_MAX_BYTES: Final = 1024 * 1024
"""Of the manifest and of each key, which are read into memory."""

_PIECE_BYTES: Final = 1024 * 1024
_LEVEL: Final = 6  # gzip's own default; Python's is 9, twice as slow for 1 % less
_MADE_OF: Final = frozenset({"format", "version", "schema", "made_at", "with_keys", "sha256"})


class DamagedArchiveError(Exception):
    """It is no back-up, or not a whole one."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What was in an archive; ``keys`` by file name, empty where it was made without them."""

    manifest: Mapping[str, Any]
    database: Path
    keys: Mapping[str, bytes] = field(repr=False)


def pack(target: Path, manifest: Mapping[str, object], database: Path, keys: Mapping[str, bytes]) -> None:
    """Write the archive to ``target``; the hashes are added to ``manifest``. Raises OSError."""
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in keys.items()}
    with database.open("rb") as file:
        hashes[DATABASE_FILE] = hashlib.file_digest(file, "sha256").hexdigest()
    head = json.dumps({**manifest, "sha256": hashes}, indent=1).encode()
    with tarfile.open(target, "x:gz", compresslevel=_LEVEL) as tar:
        _add(tar, MANIFEST, io.BytesIO(head), len(head))
        with database.open("rb") as file:
            _add(tar, DATABASE_FILE, file, database.stat().st_size)
        for name, content in keys.items():
            _add(tar, name, io.BytesIO(content), len(content))


def unpack(archive: Path, folder: Path) -> Unpacked:
    """Put the database into ``folder``, read the rest, and check everything against the manifest.

    What has another name is not looked at. Raises DamagedArchiveError, and OSError when the disk is full.
    """
    small: dict[str, bytes] = {}
    hashes: dict[str, str] = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for entry in tar:
                content = tar.extractfile(entry) if entry.isfile() else None
                if content is None:
                    continue
                if entry.name == DATABASE_FILE:
                    hashes[entry.name] = _copy(content, folder / DATABASE_FILE)
                elif entry.name in (MANIFEST, *KEYS) and entry.size <= SMALL_MAX_BYTES:
                    small[entry.name] = content.read()
                    hashes[entry.name] = hashlib.sha256(small[entry.name]).hexdigest()
        manifest = json.loads(small.pop(MANIFEST))
        if not isinstance(manifest, dict) or manifest["format"] != FORMAT or _MADE_OF - manifest.keys():
            raise DamagedArchiveError
        needed = (DATABASE_FILE, *KEYS) if manifest["with_keys"] else (DATABASE_FILE,)
        if any(hashes[name] != manifest["sha256"][name] for name in needed):
            raise DamagedArchiveError
    except (tarfile.TarError, zlib.error, OSError, EOFError, AttributeError, KeyError, TypeError, ValueError) as error:
        if is_full(error):
            raise
        raise DamagedArchiveError from None
    return Unpacked(manifest, folder / DATABASE_FILE, small if manifest["with_keys"] else {})


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes], size_bytes: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = size_bytes
    entry.mode = 0o600
    entry.mtime = int(datetime.now(UTC).timestamp())
    tar.addfile(entry, content)


def _copy(content: IO[bytes], target: Path) -> str:
    """Its SHA-256 in hex."""
    seen = hashlib.sha256()
    with target.open("wb") as file:
        while piece := content.read(_PIECE_BYTES):
            seen.update(piece)
            file.write(piece)
    return seen.hexdigest()
