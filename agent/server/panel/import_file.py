"""The file of an import: what is in it, what is wrong with it, and how it gets from the preview to the import."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any, Final

from pydantic import ValidationError

from agent.server.api.models.transfer import TransferDocument
from agent.server.operations.failures import InvalidError
from agent.server.operations.transfer import FORMAT

FILE_MAX_BYTES: Final = 1024 * 1024
"""A thousand connections and more; with its preview it stays below the limit of a request."""

_SHOWN_MAX: Final = 20
_NO_EXPORT: Final = "This is no export of an integration server: save one on the other server and choose that file."


class ImportFileError(InvalidError):
    """The file cannot be imported; each of ``sentences`` names a line or a record. Nothing of its values is in them."""

    def __init__(self, *sentences: str) -> None:
        super().__init__(" ".join(sentences), field="file")
        self.sentences = sentences


def read_import(content: bytes) -> TransferDocument:
    """The document in a file. Raises ImportFileError."""
    if not content.strip():
        raise ImportFileError("The file is missing or empty: choose the file of an export.")
    if len(content) > FILE_MAX_BYTES:
        raise ImportFileError(
            f"The file is larger than {FILE_MAX_BYTES // 1024} KiB: import it on the server, with "
            "integration-server import FILE."
        )
    found = _parsed(content)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ImportFileError(_NO_EXPORT)
    try:
        return TransferDocument.model_validate(found)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False, include_context=False)
        sentences = [_sentence(found, each["loc"], each["msg"]) for each in wrong[:_SHOWN_MAX]]
        more = [f"And {len(wrong) - _SHOWN_MAX} more."] if len(wrong) > _SHOWN_MAX else []
        raise ImportFileError(*sentences, *more) from None


def pack(content: bytes) -> str:
    """The file as the value of a hidden field."""
    return base64.urlsafe_b64encode(zlib.compress(content)).decode("ascii")


def unpack(text: str) -> bytes:
    """The file again, one byte more than the limit at most. Raises ImportFileError for what ``pack`` did not make."""
    try:
        return zlib.decompressobj().decompress(base64.urlsafe_b64decode(text), FILE_MAX_BYTES + 1)
    except (ValueError, zlib.error):
        raise ImportFileError("The preview was altered on its way: choose the file again.") from None


def _parsed(content: bytes) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ImportFileError(f"Line {line} is not UTF-8: save the file as UTF-8 and try again.") from None
    except json.JSONDecodeError as error:
        raise ImportFileError(
            f"Line {error.lineno}, column {error.colno}: this is not JSON ({error.msg}). {_NO_EXPORT}"
        ) from None
    except (ValueError, RecursionError):  # a number of thousands of digits; lists in lists in lists
        raise ImportFileError(_NO_EXPORT) from None


def _sentence(document: dict[str, Any], place: Sequence[int | str], said: str) -> str:
    """``Connection 4 "Shop Lyon", store_url: ...``; the name only where it is one."""
    match list(place):
        case [("agents" | "connections" | "client_keys") as kind, int(at), *field]:
            record = document[kind][at]
            name = record.get("name") if isinstance(record, dict) else None
            shown = f' "{name}"' if isinstance(name, str) and name.isprintable() and 0 < len(name) <= 100 else ""
            where = _where(field)
            return f"{kind[:-1].replace('_', ' ').capitalize()} {at + 1}{shown}{f', {where}' if where else ''}: {said}."
        case found:
            return f"{_where(found)}: {said}."


def _where(parts: Sequence[int | str]) -> str:
    """The names of members, of which unknown ones are the file's own."""
    text = ".".join(str(part) for part in parts)
    return text[:80] if text.isprintable() else "a member"
