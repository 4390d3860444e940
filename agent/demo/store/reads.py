"""GET and HEAD of records: one, a list, a schema, the list of resources, the search."""

from __future__ import annotations

from agent.demo.store import json_output, xml_output
from agent.demo.store.call import Call, Content
from agent.demo.store.database import Record
from agent.demo.store.display import shown_fields
from agent.demo.store.faults import Missing, WebserviceFault
from agent.demo.store.filters import Selection, order, select
from agent.demo.store.prices import virtual_prices
from agent.demo.store.xml_output import View

_LISTED_METHODS = ("get", "put", "post", "patch", "delete", "head")
_WITHOUT_SCHEMA = ("images", "search", "attachments")


def read(call: Call) -> Content:
    """A record, a list or a schema. Raises Missing and WebserviceFault."""
    if call.segment(1):
        return _one(call)
    kind = call.params.get("schema")
    if kind is not None:
        return _schema(call, str(kind))
    selection = select(call.resource, call.params, call.languages)
    shown = shown_fields(call.resource, call.params)
    order(call.resource, call.params, call.languages, selection)
    _of_shop(call, selection)
    numbers = call.database.ids(call.resource.name, selection.where, selection.arguments, selection.tail)
    if shown is None:
        if call.json:
            return Content(200, json_output.id_list(call.resource, numbers), json_output.CONTENT_TYPE)
        return _xml(200, xml_output.id_list(call.resource, numbers, call.base_url))
    records = [for_shop(call, one) for one in call.database.read_many(call.resource.name, numbers)]
    view = view_of(call, shown, numbers)
    if call.json:
        return Content(200, json_output.record_list(call.resource, records, view), json_output.CONTENT_TYPE)
    return _xml(200, xml_output.record_list(call.resource, records, view))


def _one(call: Call) -> Content:
    shown = shown_fields(call.resource, call.params) or frozenset({"*"})
    number = call.segment(1)
    found = call.database.read(call.resource.name, int(number)) if number.isdecimal() else None
    if found is None:
        raise Missing
    if call.resource.name == "products" and int(number) in _absent(call):
        text = f"This {call.resource.class_name} ({number}) does not exists on this shop"
        raise WebserviceFault(404, (131, text))
    call.touched.append(int(number))
    view = view_of(call, shown, [int(number)])
    return one_record(call, 200, for_shop(call, found), view, written=False)


def one_record(call: Call, status: int, found: Record, view: View, *, written: bool) -> Content:
    """A single record in the asked format."""
    if call.json:
        body = json_output.record(call.resource, found, view, written=written)
        return Content(status, body, json_output.CONTENT_TYPE)
    return _xml(status, xml_output.record(call.resource, found, view))


def view_of(call: Call, shown: frozenset[str], numbers: list[int]) -> View:
    """The view of the fields in ``shown``; ``*`` means all."""
    everything = "*" in shown
    return View(
        base_url=call.base_url,
        languages=call.languages,
        fields=None if everything else shown,
        associations=None if everything else shown,
        virtual=virtual_prices(call, numbers, None if everything else shown),
    )


def for_shop(call: Call, found: Record) -> Record:
    """The record with what differs in the shop of this call."""
    if call.resource.name != "products":
        return found
    shop = next((one for one in call.config.shops if one.id == call.context.id_shop), None)
    if shop is not None and (price := shop.prices.get(int(found["id"]))):
        return {**found, "price": price}
    return found


def _absent(call: Call) -> frozenset[int]:
    shop = next((one for one in call.config.shops if one.id == call.context.id_shop), None)
    return shop.absent if shop is not None and call.params.get("id_shop") != "all" else frozenset()


def _of_shop(call: Call, selection: Selection) -> None:
    every_shop = call.params.get("id_shop") == "all" or {"id_group_shop", "id_shop_group"} & call.params.keys()
    if call.resource.name == "stock_availables" and not every_shop:
        selection.where += " AND id_shop IN ('', '0', ?)"
        selection.arguments.append(str(call.context.id_shop))
    if call.resource.name == "products" and (absent := _absent(call)):
        selection.where += f" AND id NOT IN ({', '.join('?' for _ in absent)})"
        selection.arguments += absent


def _schema(call: Call, kind: str) -> Content:
    if kind not in ("blank", "synopsis"):
        text = (
            "Please select a schema of type 'synopsis' to get the whole schema informations (which fields are required,"
            " which kind of content...) or 'blank' to get an empty schema to fill before using POST request"
        )
        raise WebserviceFault(400, (28, text), warned=True)
    if call.json:
        return Content(200, json_output.schema(call.resource), json_output.CONTENT_TYPE)
    return _xml(200, xml_output.schema(call.resource, kind, call.base_url, call.languages))


def resources_list(call: Call) -> Content:
    """The root listing; in JSON the real store crashes."""
    if call.json:
        return Content(500, None, None, crashed=True)
    shop = (call.database.read("shops", 1) or {}).get("name", "")
    parts = [f'<api shopName="{shop}">\n']
    for name, methods in call.permissions.items():
        link = f"{call.base_url}{name}"
        rights = " ".join(f'{one}="{str(one.upper() in methods).lower()}"' for one in _LISTED_METHODS)
        parts.append(f'<{name} xlink:href="{link}" {rights}>\n<description xlink:href="{link}" {rights}>\n')
        parts.append(f"{call.schema[name].description}</description>\n")
        if name not in _WITHOUT_SCHEMA:
            parts += [f'<schema xlink:href="{link}?schema={kind}" type="{kind}"/>\n' for kind in ("blank", "synopsis")]
        parts.append(f"</{name}>\n")
    parts.append("</api>\n")
    return _xml(200, "".join(parts))


def search(call: Call) -> Content:
    """Products whose texts contain the query's words, and their categories. Raises WebserviceFault 100."""
    call.managed = True
    query, language = call.params.get("query"), call.params.get("language")
    if not query or not language:
        text = "You have to set both the 'language' and 'query' parameters to get a result"
        raise WebserviceFault(400, (100, text))
    products = _matching(call, str(query), str(language))
    found = [("products", products), ("categories", _categories_of(call, products))]
    if call.json:
        content = {name: [{"id": number} for number in numbers] for name, numbers in found if numbers}
        return Content(200, json_output.encode(content or []), json_output.CONTENT_TYPE)
    parts = [xml_output.id_list(call.schema[name], numbers, call.base_url) for name, numbers in found]
    return _xml(200, "".join(parts))


def _matching(call: Call, query: str, language: str) -> list[int]:
    if not language.isdecimal():
        return []
    where = "1"
    arguments: list[str] = []
    for word in query.split():
        terms = [
            f"""json_extract("{text}", '$."{int(language)}"') LIKE ?"""
            for text in ("name", "description", "description_short")
        ]
        where += f" AND ({' OR '.join(terms)})"
        arguments += [f"%{word}%"] * len(terms)
    return call.database.ids("products", where, arguments)


def _categories_of(call: Call, products: list[int]) -> list[int]:
    """The categories that the found products are in."""
    numbers = {
        int(item["id"])
        for product in call.database.read_many("products", products)
        for item in product["associations"].get("categories", [])
    }
    return sorted(numbers)


def _xml(status: int, content: str) -> Content:
    return Content(status, xml_output.document(content), xml_output.CONTENT_TYPE)
