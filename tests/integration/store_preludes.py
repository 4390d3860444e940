"""What had happened to the recorded shop between two kept exchanges: the recordings leave some out of each series."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

from agent.demo.store import SampleStore
from agent.demo.store.drawing import draw_jpeg
from tests.kit.exchange import Exchange
from tests.kit.store_setups import FULL_KEY
from tests.kit.wire_client import WireClient

BULK_PRODUCTS = 1000
_WORDS = "<p>" + "Lorem ipsum dolor sit amet " * 40 + "</p>"


async def prelude(store: SampleStore, exchange: Exchange) -> None:
    """Bring the store into the state that the real one was in before ``exchange``."""
    if (steps := _STEPS.get(exchange.id)) is not None:
        await steps(store)


def _product(reference: str, *, number: str = "", description: str = "") -> str:
    texts = "".join(
        f'<{name}><language id="1">{english}</language><language id="2">{french}</language></{name}>'
        for name, english, french in (
            ("name", "Test product", "Produit test"),
            ("link_rewrite", "test-product", "produit-test"),
            *([("description", description, description)] if description else []),
        )
    )
    return (
        f"<prestashop><product>{number and f'<id>{number}</id>'}<id_category_default>2</id_category_default>"
        f"<price>12.5</price><active>1</active><state>1</state><reference>{reference}</reference>{texts}"
        "</product></prestashop>"
    )


async def _send(store: SampleStore, method: str, path: str, bodies: list[bytes], content_type: str) -> None:
    """Send the same request with each of ``bodies`` over one connection; all must be accepted."""
    client = await WireClient.connect(store.port)
    credentials = base64.b64encode(f"{FULL_KEY}:".encode()).decode()
    host = store.domain
    for body in bodies:
        await client.send(
            f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {credentials}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        answer = await client.read(method)
        assert answer.status in (200, 201), (answer.status, answer.body)
    await client.close()


async def _two_products(store: SampleStore) -> None:
    await _send(store, "POST", "/api/products", [_product("REC-4").encode()] * 2, "text/xml")


async def _put_of_another_id(store: SampleStore) -> None:
    body = _product("REC-MISMATCH", number="21").encode()
    await _send(store, "PUT", "/api/products/20", [body], "text/xml")


async def _one_stock_id_used(store: SampleStore) -> None:
    store.database.next_id("stock_availables")
    store.database.commit()


async def _first_upload(store: SampleStore) -> None:
    picture = draw_jpeg(40, 30, "prelude")
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    body = head + picture + b"\r\n--b--\r\n"
    await _send(store, "POST", "/api/images/products/1", [body], "multipart/form-data; boundary=b")


async def _bulk(store: SampleStore) -> None:
    escaped = _WORDS.replace("<", "&lt;").replace(">", "&gt;")
    bodies = [_product(f"BULK-{number}", description=escaped).encode() for number in range(BULK_PRODUCTS)]
    await _send(store, "POST", "/api/products", bodies, "text/xml")
    # Nothing orders these lists; that MySQL gave the new rows first belongs to the state of the recorded database.
    store.database.execute("UPDATE products SET seq = seq - 1000000 WHERE id > 19")
    store.database.commit()


async def _stock_of_second_shop(store: SampleStore) -> None:
    for number in (59, *range(78, 86)):
        row = {"id": str(number), "id_product": "1", "id_product_attribute": "0", "id_shop": "2", "quantity": "7"}
        store.database.insert("stock_availables", row)
    store.database.commit()


_STEPS: dict[str, Callable[[SampleStore], Awaitable[None]]] = {
    "encoding-chunked-request-nginx": _two_products,
    "write-product-put-collection": _put_of_another_id,
    "write-product-post-associations": _one_stock_id_used,
    "image-get-created": _first_upload,
    "listing-bulk-list-ids": _bulk,
    "multistore-group": _stock_of_second_shop,
}
