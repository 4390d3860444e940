"""The sample store over real sockets: what a test or a person may rely on beyond the recorded exchanges."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from agent.demo.store import Front, SampleStore
from agent.demo.store.drawing import draw_jpeg
from tests.kit.sample_store import BOUNDARY, CONFIG, READ_KEY, ask, head, multipart, running
from tests.kit.wire_client import WireClient


async def test_counts_bytes_and_executes_nothing_for_a_wrong_key(store: SampleStore) -> None:
    assert (store.traffic.bytes_received, store.traffic.connections) == (0, 0)
    request = head(store, "DELETE /api/products/1", key="X" * 32)
    client = await WireClient.connect(store.port)
    await client.send(request)
    assert (await client.read("DELETE")).status == 401
    await client.close()
    assert store.traffic.bytes_received == len(request)
    assert store.traffic.requests == 1
    assert store.executed == []


async def test_read_key_cannot_write_by_an_override(store: SampleStore) -> None:
    answer = await ask(store, "GET /api/products/1?ps_method=DELETE", key=READ_KEY)
    assert answer.status == 405
    assert b"[25]" in answer.body
    assert store.executed == []


async def test_answers_pipelined_requests_in_order(store: SampleStore) -> None:
    client = await WireClient.connect(store.port)
    paths = ["/api/products/1", "/api/products/999", "/api/languages/2"]
    await client.send(b"".join(head(store, f"GET {path}") for path in paths))
    assert [(await client.read()).status for _ in paths] == [200, 404, 200]
    await client.close()


async def test_closes_an_idle_connection() -> None:
    async with running(replace(CONFIG, front=Front(idle_timeout_s=0.05))) as store:
        client = await WireClient.connect(store.port)
        await client.send(head(store, "GET /api/languages/1"))
        assert (await client.read()).status == 200
        assert await client.closed_within(5)
        await client.close()


def test_idle_times_of_stock_servers() -> None:
    assert (Front().keep_alive_s, Front("nginx").keep_alive_s) == (5.0, 75.0)


async def test_takes_the_chunks_when_a_length_is_there_too(store: SampleStore) -> None:
    client = await WireClient.connect(store.port)
    body = b"<prestashop><manufacturer><active>1</active><name>Chunked</name></manufacturer></prestashop>"
    framed = b"5;x=y\r\n%b\r\n%x\r\n%b\r\n0\r\nTrailer: x\r\n\r\n" % (body[:5], len(body) - 5, body[5:])
    fields = ("Content-Type: text/xml", "Content-Length: 3", "Transfer-Encoding: chunked")
    await client.send(head(store, "POST /api/manufacturers", *fields) + framed + head(store, "GET /api/languages/1"))
    assert (await client.read("POST")).status == 201
    assert (await client.read()).status == 200
    await client.close()


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /api HTTP/1.1\nHost: x\n\r\n\r\n", 400),
        (b"GET  /api HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /api HTTP/2.0\r\nHost: x\r\n\r\n", 400),
        (b"GET /api HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET /" + b"a" * 8200 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /api HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
async def test_refuses_what_apache_refuses(store: SampleStore, raw: bytes, status: int) -> None:
    client = await WireClient.connect(store.port)
    await client.send(raw)
    answer = await client.read()
    assert answer.status == status
    assert await client.closed_within(2)
    await client.close()
    assert store.executed == []


async def test_a_body_over_the_limit_of_php_is_read_and_dropped() -> None:
    async with running(replace(CONFIG, upload_max_bytes=1000)) as store:
        body = multipart(picture=draw_jpeg(8, 8, "small") + b"x" * 2000)
        answer = await ask(store, "POST /api/images/products/1", f"Content-Type: {BOUNDARY}", body=body)
        assert answer.status == 400
        assert b"[76]" in answer.body
        assert store.traffic.bytes_received > 2000


async def test_uploaded_picture_can_be_read_replaced_and_deleted(store: SampleStore) -> None:
    first, second = draw_jpeg(16, 16, "first"), draw_jpeg(24, 24, "second")
    posted = await ask(store, "POST /api/images/products/4", f"Content-Type: {BOUNDARY}", body=multipart(picture=first))
    assert posted.status == 200
    assert base64.b64encode(first) in posted.body
    number = store.executed[-1].ids[0]
    path = f"/api/images/products/4/{number}"
    assert (await ask(store, f"GET {path}")).body == first
    replaced = await ask(
        store, f"POST {path}?ps_method=PUT", f"Content-Type: {BOUNDARY}", body=multipart(picture=second)
    )
    assert replaced.body == second
    assert (await ask(store, f"DELETE {path}")).status == 200
    assert (await ask(store, f"GET {path}")).status == 400


async def test_rejects_an_upload_that_is_no_picture(store: SampleStore) -> None:
    body = multipart(picture=b"hello")
    answer = await ask(store, "POST /api/images/products/4", f"Content-Type: {BOUNDARY}", body=body)
    assert (answer.status, b"[73]" in answer.body) == (400, True)


async def test_writes_can_be_read_from_the_file_at_once(tmp_path: Path) -> None:
    database = tmp_path / "store.db"
    async with running(replace(CONFIG, database=database)) as store:
        body = (
            b"<prestashop><product><price>3</price><reference>SEEN</reference><name><language id='1'>Seen"
            b"</language></name></product></prestashop>"
        )
        assert (await ask(store, "POST /api/products", "Content-Type: text/xml", body=body)).status == 201
        with contextlib.closing(sqlite3.connect(database)) as other:
            rows = other.execute(
                """SELECT id, price, json_extract(name, '$."1"') FROM products WHERE reference = 'SEEN'"""
            ).fetchall()
    assert rows == [(13, "3.000000", "Seen")]


async def test_records_before_the_wrong_one_of_a_body_stay(store: SampleStore) -> None:
    before = store.database.ids("products")
    body = b"<prestashop><product><price>3</price></product><product><price>abc</price></product></prestashop>"
    answer = await ask(store, "POST /api/products", "Content-Type: text/xml", body=body)
    assert (answer.status, b"[85]" in answer.body) == (400, True)
    assert len(store.database.ids("products")) == len(before) + 1


async def test_deleting_several_deletes_none_when_one_is_missing(store: SampleStore) -> None:
    answer = await ask(store, "DELETE /api/products/?id=[1,999]")
    assert answer.status == 404
    assert store.database.read("products", 1) is not None


async def test_deleted_product_takes_its_stock_along_and_its_id_is_not_used_again(store: SampleStore) -> None:
    assert (await ask(store, "DELETE /api/products/12")).status == 200
    assert store.database.ids("stock_availables", "id_product = '12'") == []
    body = b"<prestashop><product><price>3</price></product></prestashop>"
    assert (await ask(store, "POST /api/products", "Content-Type: text/xml", body=body)).status == 201
    assert store.executed[-1].ids == (13,)
    assert len(store.database.ids("stock_availables", "id_product = '13'")) == 1


async def test_new_state_changes_the_order(store: SampleStore) -> None:
    body = (
        b"<prestashop><order_history><id_order>4</id_order><id_order_state>3</id_order_state></order_history>"
        b"</prestashop>"
    )
    assert (await ask(store, "POST /api/order_histories", "Content-Type: text/xml", body=body)).status == 201
    order = store.database.read("orders", 4)
    assert order is not None
    assert (order["current_state"], order["valid"], order["invoice_number"]) == ("3", "1", "1")
    assert order["total_paid_real"] == order["total_paid_tax_incl"]


async def test_equal_checksum_gives_304(store: SampleStore) -> None:
    first = await ask(store, "GET /api/languages/1")
    checksum = first.header("Content-Sha1")
    second = await ask(store, "GET /api/languages/1", f"Local-Content-Sha1: {checksum}")
    assert (second.status, second.body, second.framing) == (304, b"", "none")


async def test_delay_holds_one_answer_and_not_the_others(store: SampleStore) -> None:
    store.delay_s = 30
    slow = await WireClient.connect(store.port)
    await slow.send(head(store, "GET /api/languages/1"))
    held = asyncio.create_task(slow.read())
    await store.request_arrived.wait()
    store.delay_s = 0
    assert (await ask(store, "GET /api/languages/1")).status == 200
    assert not held.done()
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)
    await slow.close()


async def test_two_fronts_show_one_shop(store: SampleStore) -> None:
    nginx = await store.listen(Front("nginx"))
    body = b"<prestashop><stock_available><id>2</id><quantity>9</quantity></stock_available></prestashop>"
    written = await ask(store, "PATCH /api/stock_availables/2", "Content-Type: text/xml", body=body, port=nginx)
    assert (written.status, written.framing, written.header("Server")) == (200, "chunked", "nginx/1.22.1")
    assert b"[9]" in (await ask(store, "GET /api/stock_availables/2")).body


async def test_unknown_resource_and_one_without_records_differ(store: SampleStore) -> None:
    assert (await ask(store, "GET /api/nonsense")).status == 400
    answer = await ask(store, "GET /api/zones")
    assert (answer.status, b"[26]" in answer.body) == (401, True)


async def test_close_ends_open_connections() -> None:
    async with running() as store:
        client = await WireClient.connect(store.port)
        await client.send(head(store, "GET /api/languages/1"))
        await client.read()
        assert store.open_connections == 1
    assert await client.closed_within(2)
    await client.close()
