"""Records, lists and errors as the webservice writes them in JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from agent.demo.store.database import Record
from agent.demo.store.schema import Association, Resource
from agent.demo.store.xml_output import View

CONTENT_TYPE = "application/json"
_WHOLE = frozenset({"id_default_combination"})
"""Fields that PrestaShop's getters give as numbers."""
_NULL = frozenset({"new", "low_stock_threshold"})
"""Fields that are null, not empty text, when there is nothing."""


def encode(content: object) -> bytes:
    """PHP's json_encode with JSON_UNESCAPED_UNICODE."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/").encode()


def errors(found: Iterable[tuple[int, str]]) -> bytes:
    """An error body."""
    return encode({"errors": [{"code": code, "message": message} for code, message in found]})


def id_list(resource: Resource, ids: Iterable[int]) -> bytes:
    """A list that only names its records; an empty one is an empty array, not an object."""
    rows = [{"id": number} for number in ids]
    return encode({resource.name: rows} if rows else [])


def record_list(resource: Resource, records: Iterable[Record], view: View) -> bytes:
    """A list with the fields of ``view``; empty fields stay in."""
    rows = [_record(resource, one, view, written=False) for one in records]
    return encode({resource.name: rows} if rows else [])


def record(resource: Resource, one: Record, view: View, *, written: bool) -> bytes:
    """One record without its empty fields. ``written``: it was just written, its id is text then."""
    fields = {name: value for name, value in _record(resource, one, view, written=written).items() if _kept(value)}
    return encode({resource.node: fields})


def schema(resource: Resource) -> bytes:
    """The blank schema: as its fields are empty, only the associations are left."""
    content = {one.name: [{field.name: None for field in one.fields}] for one in resource.associations}
    return encode({resource.node: {"associations": content} if content else []})


def _kept(value: object) -> bool:
    """What PHP's array_filter keeps."""
    return value not in (None, "", "0", 0, False, [], {})


def _record(resource: Resource, one: Record, view: View, *, written: bool) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if view.fields is None or "id" in view.fields:
        result["id"] = str(one["id"]) if written else int(one["id"])
    for field in resource.fields:
        if view.fields is None or field.name in view.fields:
            value = one.get(field.name)
            result[field.name] = _texts(value, view) if field.translated else _scalar(field.name, value)
    result.update((view.virtual or {}).get(str(one["id"]), {}))
    content = {
        association.name: rows
        for association in resource.associations
        if (view.fields is None or association.name in (view.associations or ())) and (rows := _items(association, one))
    }
    if content:
        result["associations"] = content
    return result


def _texts(value: object, view: View) -> object:
    if not isinstance(value, dict):
        return None
    if len(view.languages) == 1:
        return value.get(view.languages[0], "")
    return [{"id": number, "value": value.get(number, "")} for number in view.languages]


def _scalar(name: str, value: object) -> object:
    if name in _WHOLE and isinstance(value, str):
        return int(value or 0)
    if value == "" and name in _NULL:
        return None
    return False if value == "" and name == "manufacturer_name" else value


def _items(association: Association, one: Record) -> list[dict[str, str]]:
    items = one.get("associations", {}).get(association.name, [])
    return [{field.name: item.get(field.name, "") for field in association.fields} for item in items]
