"""The shipped catalogue: consistent in itself, and all our own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.demo.store.catalogue import load_catalogue
from agent.demo.store.schema import load_schema
from tests.kit.recordings import NOT_THERE, load_own_exchanges, recordings_folder
from tests.kit.tools import missing

CATALOGUE = load_catalogue(None)


def test_has_something_of_everything_a_demo_shows() -> None:
    assert len(CATALOGUE["products"]) == 12
    assert all(CATALOGUE[name] for name in ("categories", "customers", "addresses", "orders", "stock_availables"))


def test_fields_are_those_of_the_schema() -> None:
    for name, items in CATALOGUE.items():
        resource = load_schema().get(name)
        if resource is not None and name != "countries":
            wanted = {"id", *(field.name for field in resource.fields)}
            for item in items:
                assert set(item) - {"associations"} == wanted, name


def test_every_reference_names_a_record_that_is_there() -> None:
    ids = {name: {item["id"] for item in items} for name, items in CATALOGUE.items() if name != "images_products"}
    for name, items in CATALOGUE.items():
        resource = load_schema().get(name)
        for field in resource.fields if resource is not None else ():
            if field.xlink in ids and "{" not in (field.xlink or ""):
                wrong = [item["id"] for item in items if item.get(field.name) not in ("", "0", None, *ids[field.xlink])]
                assert not wrong, (name, field.name, wrong)


def test_every_product_has_stock_a_picture_and_both_languages() -> None:
    stocked = {item["id_product"] for item in CATALOGUE["stock_availables"]}
    pictured = {str(item["id_product"]) for item in CATALOGUE["images_products"]}
    for product in CATALOGUE["products"]:
        assert product["id"] in stocked & pictured
        assert all(product["name"][language] for language in ("1", "2"))


def test_nothing_of_the_recorded_shop_is_in_it() -> None:
    folder = recordings_folder()
    if folder is None:
        missing(NOT_THERE)
        return
    texts = {
        text
        for product in json.loads((folder / "seed.json").read_text(encoding="utf-8"))["data"]["products"]
        for field in ("name", "description", "description_short")
        for text in product[field].values()
        if text
    }
    shipped = json.dumps(CATALOGUE, ensure_ascii=False) + json.dumps(
        [exchange.response.kept_body.decode("latin-1") for exchange in load_own_exchanges()]
    )
    assert not [text for text in texts if json.dumps(text, ensure_ascii=False)[1:-1] in shipped]


def test_another_file_must_have_the_same_shape(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"products": []}', encoding="utf-8")
    with pytest.raises(ValueError, match="is no catalogue"):
        load_catalogue(wrong)
