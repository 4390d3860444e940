"""Records, lists, schemas and errors as the webservice writes them in XML. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent.demo.store.database import Record
from agent.demo.store.schema import Association, Field, Resource

CONTENT_TYPE = "text/xml;charset=utf-8"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<prestashop xmlns:xlink="http://www.w3.org/1999/xlink">\n'
_FOOT = "</prestashop>\n"


@dataclass(frozen=True, slots=True)
class View:
    """What to show: the base of links, the languages, and the fields (None: all of them and the associations)."""

    base_url: str
    languages: Sequence[str]
    fields: frozenset[str] | None = None
    associations: frozenset[str] | None = None
    virtual: Mapping[str, Mapping[str, str]] | None = None
    """Computed fields that the request named, by record id."""


def document(content: str) -> bytes:
    """``content`` inside the root element."""
    return f"{_HEAD}{content}{_FOOT}".encode()


def errors(found: Iterable[tuple[int, str]]) -> bytes:
    """An error body."""
    parts = [
        f"<error>\n<code><![CDATA[{code}]]></code>\n<message><![CDATA[{_safe(message)}]]></message>\n</error>\n"
        for code, message in found
    ]
    return document(f"<errors>\n{''.join(parts)}</errors>\n")


def id_list(resource: Resource, ids: Iterable[int], base_url: str) -> str:
    """A list that only names its records."""
    rows = "".join(
        f'<{resource.node} id="{number}" xlink:href="{base_url}{resource.name}/{number}"/>\n' for number in ids
    )
    return f"<{resource.name}>\n{rows}</{resource.name}>\n"


def record_list(resource: Resource, records: Iterable[Record], view: View) -> str:
    """A list with the fields of ``view``."""
    return f"<{resource.name}>\n{''.join(record(resource, one, view) for one in records)}</{resource.name}>\n"


def record(resource: Resource, one: Record, view: View) -> str:
    """One record."""
    number = str(one["id"])
    lines = [f"<{resource.node}>\n"]
    if view.fields is None or "id" in view.fields:
        lines.append(f"\t<id><![CDATA[{number}]]></id>\n")
    lines += [
        _field(field, one.get(field.name), one, view)
        for field in resource.fields
        if view.fields is None or field.name in view.fields
    ]
    for name, value in (view.virtual or {}).get(number, {}).items():
        lines.append(f"\t<{name}><![CDATA[{value}]]></{name}>\n")
    shown = [
        association
        for association in resource.associations
        if view.fields is None or association.name in (view.associations or ())
    ]
    if shown:
        lines.append("<associations>\n")
        lines += [_association(association, one, view) for association in shown]
        lines.append("</associations>\n")
    lines.append(f"</{resource.node}>\n")
    return "".join(lines)


def _field(field: Field, value: object, one: Record, view: View) -> str:
    if field.translated:
        texts = value if isinstance(value, dict) else None
        inner = "".join(_language(number, texts, view) for number in view.languages)
        return f"\t<{field.name}>{inner}</{field.name}>\n"
    text = "" if value is None else str(value)
    attributes = ""
    # A foreign key that names nothing has no link; current_state is none by name and keeps it.
    if field.xlink is not None and (not field.name.startswith(("id_",)) or text not in ("", "0")):
        attributes = f' xlink:href="{view.base_url}{_target(field.xlink, one)}/{text}"'
    if field.computed:
        attributes += ' notFilterable="true"'
    return f"\t<{field.name}{attributes}><![CDATA[{_safe(text)}]]></{field.name}>\n"


def _language(number: str, texts: dict[str, str] | None, view: View) -> str:
    if texts is None:
        return f'<language id="{number}"><![CDATA[]]></language>'
    link = f'xlink:href="{view.base_url}languages/{number}"'
    return f'<language id="{number}" {link}><![CDATA[{_safe(texts.get(number, ""))}]]></language>'


def _association(association: Association, one: Record, view: View) -> str:
    kind = f'api="{association.api}"' if association.api else 'virtualEntity="true"'
    items = one.get("associations", {}).get(association.name, [])
    opening = f'<{association.name} nodeType="{association.node}" {kind}'
    if not items:
        return f"{opening}/>\n"
    lines = [f"{opening}>\n"]
    for item in items:
        link = ""
        if association.xlink is not None:
            link = f' xlink:href="{view.base_url}{_target(association.xlink, one)}/{item.get("id", "")}"'
        lines.append(f"\t<{association.node}{link}>\n")
        for field in association.fields:
            value = item.get(field.name, "")
            href = f' xlink:href="{view.base_url}{field.xlink}/{value}"' if field.xlink else ""
            lines.append(f"\t<{field.name}{href}><![CDATA[{_safe(value)}]]></{field.name}>\n")
        lines.append(f"\t</{association.node}>\n")
    lines.append(f"</{association.name}>\n")
    return "".join(lines)


def schema(resource: Resource, kind: str, base_url: str, languages: Sequence[str]) -> str:
    """The ``blank`` or ``synopsis`` schema of a resource."""
    synopsis = kind == "synopsis"
    lines = [f"<{resource.node}>\n"]
    if not synopsis:
        lines.append("\t<id><![CDATA[]]></id>\n")
    lines += [
        _schema_field(field, base_url, languages, synopsis=synopsis)
        for field in resource.fields
        if field.writable or synopsis
    ]
    if resource.associations:
        lines.append("<associations>\n")
        lines += [_schema_association(one, base_url, synopsis=synopsis) for one in resource.associations]
        lines.append("</associations>\n")
    lines.append(f"</{resource.node}>\n")
    return "".join(lines)


def _schema_field(field: Field, base_url: str, languages: Sequence[str], *, synopsis: bool) -> str:
    attributes = _synopsis_attributes(field) if synopsis else ""
    inner = "<![CDATA[]]>"
    if field.translated:
        inner = "".join(
            f'<language id="{number}" xlink:href="{base_url}languages/{number}" format="isUnsignedId" >'
            "<![CDATA[]]></language>"
            if synopsis
            else f'<language id="{number}"><![CDATA[]]></language>'
            for number in languages
        )
    return f"\t<{field.name}{attributes}>{inner}</{field.name}>\n"


def _synopsis_attributes(field: Field) -> str:
    pairs = [
        ("notFilterable", "true" if field.computed else None),
        ("read_only", None if field.writable else "true"),
        ("required", "true" if field.required else None),
        ("maxSize", None if field.max_size is None else str(field.max_size)),
        ("format", field.format),
        ("readOnly", "true" if field.synopsis_read_only else None),
    ]
    return "".join(f' {name}="{value}"' for name, value in pairs if value is not None)


def _schema_association(association: Association, base_url: str, *, synopsis: bool) -> str:
    attributes = ""
    if synopsis:
        kind = f'api="{association.api}"' if association.api else 'virtualEntity="true"'
        attributes = f' nodeType="{association.node}" {kind}'
    lines = [f"<{association.name}{attributes}>\n\t<{association.node}>\n"]
    for field in association.fields:
        marks = f' xlink:href="{base_url}{field.xlink}/"' if synopsis and field.xlink else ""
        marks += ' required="true"' if synopsis and field.required else ""
        lines.append(f"\t<{field.name}{marks}><![CDATA[]]></{field.name}>\n")
    lines.append(f"\t</{association.node}>\n</{association.name}>\n")
    return "".join(lines)


def _target(xlink: str, one: Record) -> str:
    if "{" not in xlink:
        return xlink
    return xlink.replace("{owner}", str(one["id"])).replace("{id_product}", str(one.get("id_product", "")))


def _safe(text: str) -> str:
    """Text that may stand in a CDATA section."""
    return text.replace("]]>", "]]]]><![CDATA[>")
