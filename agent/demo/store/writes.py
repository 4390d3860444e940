"""POST, PUT, PATCH and DELETE of records, with all the carelessness of the real store.

The id in the body decides, PUT blanks what is missing, an unknown association is an error after the record is there.
"""

from __future__ import annotations

import re

# expat has its own limits on entity expansion since 2.4.1, and a sample store reads what its own caller sends.
from xml.etree import ElementTree as ET

from agent.demo.store import json_output, xml_output
from agent.demo.store.call import Call, Content
from agent.demo.store.database import Record
from agent.demo.store.display import ALL
from agent.demo.store.faults import WebserviceFault
from agent.demo.store.reads import one_record, view_of
from agent.demo.store.rules import after_associations, after_save, before_delete, before_save
from agent.demo.store.schema import Field
from agent.demo.store.validation import invalid_field, invalid_text

_WRAPPED = re.compile(r"^\[(.*?)\]$", re.DOTALL)
_PARSER = "[PHP Warning #2] SimpleXMLElement::__construct():"
_WHERE = "(WebserviceRequest.php, line 1544)"


def save(call: Call) -> Content:
    """Create, replace or change the records of the body. Raises WebserviceFault."""
    entities = list(_parse(call.body))
    _check_ids(call, entities)
    saved = [_save_one(call, entity) for entity in entities]
    status = 201 if call.method == "POST" else 200
    view = view_of(call, ALL, [int(one["id"]) for one in saved])
    if len(saved) == 1:
        return one_record(call, status, saved[0], view, written=True)
    if call.json:
        return Content(status, json_output.record_list(call.resource, saved, view), json_output.CONTENT_TYPE)
    body = xml_output.document("".join(xml_output.record(call.resource, one, view) for one in saved))
    return Content(status, body, xml_output.CONTENT_TYPE)


def _parse(body: bytes) -> ET.Element:
    """The body as XML; the error echoes all of it, as the real one does."""
    text = body.removeprefix(b"xml=")
    try:
        return ET.fromstring(text)  # noqa: S314 - see the import
    except (ET.ParseError, ValueError, LookupError) as error:
        shown = text.decode("utf-8", errors="replace")
        message = f"XML error : String could not be parsed as XML\nXML length : {len(text)}\nOriginal XML : {shown}"
        echo = [(3, f"{_PARSER} {part} {_WHERE}") for part in (f"{error}", shown, "^")] if text else []
        raise WebserviceFault(500, *echo, (127, message)) from error


def _check_ids(call: Call, entities: list[ET.Element]) -> None:
    ids = [int(number) for entity in entities if (number := (entity.findtext("id") or "").strip()).isdecimal()]
    if call.method == "POST":
        if ids:
            raise WebserviceFault(400, (91, "id is forbidden when adding a new resource"))
        return
    if len(set(ids)) != len(ids):
        raise WebserviceFault(400, (89, "id is duplicate in request"))
    if len(ids) != len(entities):
        raise WebserviceFault(400, (90, "id is required when modifying a resource"))


def _save_one(call: Call, entity: ET.Element) -> Record:
    record: Record = {"associations": {}}
    if call.method != "POST":
        number = int((entity.findtext("id") or "0").strip())
        found = call.database.read(call.resource.name, number)
        if found is None:
            raise WebserviceFault(404, (92, "Invalid ID"))
        record = found
    before = dict(record)
    for field in call.resource.fields:
        _take(call, entity, field, record)
    before_save(call, record, before)
    if (wrong := invalid_text(call.resource, record)) is not None:
        raise WebserviceFault(400, (84, f'Validation error: "{wrong}"'))
    if (wrong := invalid_field(call.resource, record)) is not None:
        raise WebserviceFault(400, (85, f'Validation error: "{wrong}"'))
    if call.method == "POST":
        record["id"] = str(call.database.insert(call.resource.name, record))
    else:
        call.database.update(call.resource.name, record)
    call.touched.append(int(record["id"]))
    after_save(call, record)
    if (given := entity.find("associations")) is not None:
        _take_associations(call, given, record)
        after_associations(call, record)
    return record


def _take(call: Call, entity: ET.Element, field: Field, record: Record) -> None:
    """One field of the body, by the rules of saveEntityFromXml."""
    element = entity.find(field.name)
    if call.method == "PATCH" and element is None:
        return
    if field.translated:
        languages = [] if element is None else element.findall("language")
        if languages:
            texts = dict(record.get(field.name) or {})
            texts.update({one.get("id", ""): "".join(one.itertext()) for one in languages})
            record[field.name] = texts
        else:
            text = "" if element is None else (element.text or "").strip()
            record[field.name] = dict.fromkeys(call.languages, text) if text else None
    elif element is not None:
        if not field.writable:
            text = f'parameter "{field.name}" not writable. Please remove this attribute of this XML'
            raise WebserviceFault(400, (93, text))
        record[field.name] = "".join(element.itertext())
    elif field.required:
        raise WebserviceFault(400, (41, f'parameter "{field.name}" required'))
    elif field.writable and not field.computed:
        record[field.name] = None


def _take_associations(call: Call, given: ET.Element, record: Record) -> None:
    """Lists of the body; the record itself is stored by now, whatever comes out of them."""
    for element in given:
        association = call.resource.association(element.tag)
        if association is None:
            raise WebserviceFault(400, (86, f'The association "{element.tag}" does not exists'))
        if association.api is not None:
            record["associations"][element.tag] = [
                {field.tag: (field.text or "").strip() for field in item} for item in element
            ]
    call.database.update(call.resource.name, record)


def delete(call: Call) -> Content:
    """Remove one record, or those of ``?id=[1,2]``: all of them or, when one is missing, none."""
    asked = call.params.get("id")
    warned = []
    if isinstance(asked, str):
        match = _WRAPPED.match(asked)
        ids = [part.strip() for part in match[1].split(",")] if match else []
    else:
        if not call.segment(1) and len(call.segments) < 2:
            warned = [(3, "[PHP Warning #2] Undefined array key 1 (WebserviceRequest.php, line 1485)")]
        ids = [call.segment(1) if call.segment(1).isdecimal() else "0"]
    missing = [one for one in ids if not (one.isdecimal() and call.database.read(call.resource.name, int(one)))]
    if missing or not ids:
        raise WebserviceFault(404, *warned, (87, f"Id(s) not exists: {', '.join(missing)}"))
    refused = [one for one in ids if not before_delete(call, int(one))]
    for one in ids:
        if one not in refused:
            call.database.delete(call.resource.name, int(one))
            call.touched.append(int(one))
    if refused:
        raise WebserviceFault(500, (88, f"Id(s) wasn't deleted: {', '.join(refused)}"))
    return Content(200, None, None)
