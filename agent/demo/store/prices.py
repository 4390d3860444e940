"""Prices that a request names itself: ``price[name][use_tax]=1`` adds a computed field."""

from __future__ import annotations

import re

from agent.demo.store.call import Call
from agent.demo.store.php import Value

_RATE = re.compile(r"\((\d+(?:[.,]\d+)?) ?%\)")


def virtual_prices(call: Call, numbers: list[int], shown: frozenset[str] | None) -> dict[str, dict[str, str]] | None:
    """The named prices of each product with these ids; None when none were asked for."""
    asked = call.params.get("price")
    if call.resource.name != "products" or not isinstance(asked, dict):
        return None
    names = [name for name in asked if shown is None or name in shown]
    return {str(number): {name: _price(call, number, asked[name]) for name in names} for number in numbers}


def _price(call: Call, number: int, options: Value) -> str:
    product = call.database.read("products", number)
    if product is None:
        return "0.000000"
    price = float(product["price"] or 0)
    wanted = options if isinstance(options, dict) else {}
    if wanted.get("use_reduction", "1") != "0":
        price *= 1 - _reduction(call, number)
    if wanted.get("use_tax", "1") != "0":
        price *= 1 + _tax_rate(call, str(product["id_tax_rules_group"]))
    return f"{round(price + 1e-9, 2):.6f}"


def _reduction(call: Call, number: int) -> float:
    rows = call.database.execute(
        "SELECT reduction FROM specific_prices WHERE id_product = ? AND reduction_type = 'percentage'"
        " AND from_quantity IN ('0', '1') AND id_customer = '0' ORDER BY seq LIMIT 1",
        (str(number),),
    )
    return float(rows[0][0] or 0) if rows else 0.0


def _tax_rate(call: Call, group: str) -> float:
    """The rate that the name of the tax rules group says: the catalogue has no tax rules."""
    found = call.database.read("tax_rule_groups", int(group)) if group.isdecimal() else None
    match = _RATE.search(found["name"]) if found is not None else None
    return float(match[1].replace(",", ".")) / 100 if match else 0.0
