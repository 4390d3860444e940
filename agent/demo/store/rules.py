"""What saving or deleting a record of a certain resource does besides: dates, stock, order states, e-mail addresses."""

from __future__ import annotations

import hashlib
import secrets
import time
import unicodedata

from agent.demo.store.call import Call
from agent.demo.store.database import Record
from agent.demo.store.faults import WebserviceFault

_ROOT_CATEGORIES = (1, 2)


def before_save(call: Call, record: Record, before: Record) -> None:
    """Complete ``record`` before it is checked and written. Raises WebserviceFault 134 and 140."""
    now = timestamp(call)
    names = {field.name for field in call.resource.fields}
    if "date_add" in names and call.method != "PATCH" and not record.get("date_add"):
        record["date_add"] = now
    if "date_upd" in names:
        record["date_upd"] = now
    name = call.resource.name
    if name == "products":
        _product(call, record)
    elif name == "customers":
        _customer(call, record, before)
    elif name == "categories" and call.method == "POST":
        parent = call.database.read("categories", int(record.get("id_parent") or 0))
        depth = int(parent["level_depth"] or 0) if parent else 0
        # The shop's own tree starts below its home category, which lies on level 1 whatever the catalogue says.
        record["level_depth"] = str(max(depth, 1 if record.get("id_parent") == "2" else 0) + 1)
        record.update({"nb_products_recursive": "-1", "id_shop_default": str(call.context.id_shop)})
    elif name == "manufacturers":
        record["link_rewrite"] = slug(str(record.get("name") or ""))


def after_save(call: Call, record: Record) -> None:
    """What follows once the record is there."""
    name = call.resource.name
    number = str(record["id"])
    if name == "products":
        if call.method == "POST":
            _first_stock(call, number)
        kept = call.database.read("products", int(number)) or record
        record["associations"] = kept["associations"]
    elif name == "order_histories" and call.method == "POST":
        _order_state(call, record)


def after_associations(call: Call, record: Record) -> None:
    """What follows once the lists of the body are stored, too."""
    if call.resource.name == "products":
        categories = [one.get("id") for one in record["associations"].get("categories", [])]
        if record.get("id_category_default") in categories and not record.get("position_in_category"):
            record["position_in_category"] = "1"
            call.database.execute("UPDATE products SET position_in_category = '1' WHERE id = ?", (int(record["id"]),))


def before_delete(call: Call, number: int) -> bool:
    """Whether the record may go; takes along what belongs to it."""
    if call.resource.name == "categories" and number in _ROOT_CATEGORIES:
        return False
    if call.resource.name == "products":
        call.database.execute("DELETE FROM stock_availables WHERE id_product = ?", (str(number),))
        call.database.execute("DELETE FROM pictures WHERE kind = 'products' AND owner = ?", (number,))
    return True


def timestamp(call: Call) -> str:
    """Now, as MySQL writes it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(call.now()))


def slug(text: str) -> str:
    """A name as PrestaShop puts it into addresses."""
    plain = unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    return "-".join("".join(letter if letter.isalnum() else " " for letter in plain).split())


def _product(call: Call, record: Record) -> None:
    position = record.get("position_in_category")
    if position not in (None, "") and not (str(position).isdecimal() and int(position) > 0):
        text = "You cannot set 0 or a negative position, the minimum is 1."
        raise WebserviceFault(500, (134, text))
    if not record.get("id_shop_default"):
        record["id_shop_default"] = str(call.context.id_shop)
    if call.method == "PATCH":
        return
    for name, value in (("type", "simple"), ("condition", "new"), ("visibility", "both")):
        record[name] = record.get(name) or value
    record["id_default_combination"] = record.get("id_default_combination") or "0"
    record.update({"manufacturer_name": _manufacturer(call, record), "quantity": None})
    if call.method == "PUT":
        record["unit_price_ratio"] = record.get("unit_price_ratio") or "0"


def _manufacturer(call: Call, record: Record) -> str | None:
    number = str(record.get("id_manufacturer") or "")
    found = call.database.read("manufacturers", int(number)) if number.isdecimal() else None
    return None if found is None else str(found["name"])


def _customer(call: Call, record: Record, before: Record) -> None:
    twin = call.database.ids("customers", "email = ? COLLATE NOCASE", (record.get("email") or "",))
    if any(str(one) != str(record.get("id")) for one in twin):
        text = "The email is already used, please choose another one."
        raise WebserviceFault(500, (140, text), (46, "Unable to save resource"))
    if record.get("passwd") and record.get("passwd") != before.get("passwd"):
        salt = secrets.token_hex(8)
        digest = hashlib.sha256((salt + str(record["passwd"])).encode()).hexdigest()
        record["passwd"] = f"$2y$10${salt}{digest}"[:60]
        record["last_passwd_gen"] = timestamp(call)
    if call.method == "POST":
        record["secure_key"] = secrets.token_hex(16)
        record["id_lang"] = record.get("id_lang") or call.languages[0]
    record["id_shop"] = record.get("id_shop") or str(call.context.id_shop)
    record["id_shop_group"] = record.get("id_shop_group") or "1"


def _first_stock(call: Call, product: str) -> None:
    call.database.insert(
        "stock_availables",
        {
            "id_product": product,
            "id_product_attribute": "0",
            "id_shop": str(call.context.id_shop),
            "id_shop_group": "0",
            "quantity": "0",
            "depends_on_stock": "0",
            "out_of_stock": "2",
        },
    )


def _order_state(call: Call, record: Record) -> None:
    """A new line in an order's history changes the order."""
    number, state = str(record.get("id_order") or "0"), str(record.get("id_order_state") or "0")
    order = call.database.read("orders", int(number)) if number.isdecimal() else None
    kind = call.database.read("order_states", int(state)) if state.isdecimal() else None
    record["id_order_state"] = int(state)
    if order is None or kind is None:
        return
    now = timestamp(call)
    order["current_state"] = state
    order["date_upd"] = now
    for what in ("invoice", "delivery"):
        if kind[what] == "1" and order[f"{what}_number"] in ("", "0"):
            order[f"{what}_number"] = str(call.database.next_id(f"{what}s"))
            order[f"{what}_date"] = now
    if kind["logable"] == "1":
        order["valid"] = "1"
    if kind["paid"] == "1":
        order["total_paid_real"] = order["total_paid_tax_incl"]
    call.database.update("orders", order)
