"""What the doctor says of a store; the verdicts of the check itself have tests of their own (``test_check*``)."""

from __future__ import annotations

import time
from email.utils import formatdate
from pathlib import Path

import pytest

from agent.demo.store import StoreConfig
from agent.doctor.examination import Examination
from agent.doctor.finding import Subject
from agent.errors import EXIT_SETTINGS
from agent.examination.examine import Scope, examine
from agent.store_url import read_store_url
from tests.kit import sample_store
from tests.kit.agent_place import Place
from tests.kit.checkup import answer
from tests.kit.golden import compare, page_of
from tests.kit.scripted_store import ScriptedStore

ONLY_STORES = Scope(servers=False)
LIMITS = "[timeouts]\nstore_connect_s = 5\nstore_tls_s = 1\n"


async def _compared(name: str, place: Place, store: str, scope: Scope = ONLY_STORES) -> Examination:
    place.write(f"{LIMITS}{store}")
    examination = await examine(place.config, place.environ({"PATH": ""}), {}, is_root=False, scope=scope)
    about = [each for each in examination.findings if each.subject is Subject.STORE]
    compare(name, page_of(about, {str(place.root): "DIR"}))
    return examination


def _store(url: str, further: str = "") -> str:
    return f'[[stores]]\nurl = "{url}"\n{further}'


async def test_a_store_that_is_well(place: Place) -> None:
    async with sample_store.running() as shop:
        examination = await _compared("well-store", place, _store(f"http://127.0.0.1:{shop.port}/api/"))
    assert examination.exit_code == 0


BROKEN = {
    "dns_failed": _store("https://shop.invalid/api/"),
    "store_unreachable": _store("http://127.0.0.1:9/api/"),
    "policy_denied": _store("https://shop.invalid/api/", 'methods = ["POST"]\n'),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_store_that_is_not_reached(name: str, place: Place) -> None:
    examination = await _compared(name, place, BROKEN[name])
    assert [each.verdict for each in examination.failed] == [name]
    assert examination.exit_code == 1


async def test_a_store_without_tls_on_its_port(place: Place) -> None:
    async with sample_store.running() as shop:
        examination = await _compared("store_tls_failed", place, _store(f"https://127.0.0.1:{shop.port}/api/"))
    assert [each.verdict for each in examination.failed] == ["store_tls_failed"]


async def test_a_store_that_is_down(place: Place, store: ScriptedStore) -> None:
    store.script = answer("503 Service Unavailable", b"<h1>Back soon</h1>")
    examination = await _compared("store_down", place, _store(f"http://127.0.0.1:{store.port}/api/"))
    assert [each.verdict for each in examination.failed] == ["store_down"]


async def test_a_store_whose_webservice_is_off(place: Place) -> None:
    async with sample_store.running(StoreConfig(webservice=False)) as shop:
        examination = await _compared("webservice_off", place, _store(f"http://127.0.0.1:{shop.port}/api/"))
    assert [each.verdict for each in examination.failed] == ["webservice_off"]


async def test_a_ca_file_that_cannot_be_read(place: Place, tmp_path: Path) -> None:
    store = _store("https://shop.invalid/api/", f'ca_file = "{tmp_path}/none.pem"\n')
    examination = await _compared("store_settings_unusable", place, store)
    assert (examination.settings_usable, examination.exit_code) == (False, EXIT_SETTINGS)


async def test_an_address_with_several_readings(place: Place) -> None:
    examination = await _compared("address_ambiguous", place, _store("http://127.0.0.1:9/shop/fr/"))
    assert "address_ambiguous" in {each.verdict for each in examination.warnings}


async def test_a_setting_that_means_nothing(place: Place) -> None:
    store = _store("http://127.0.0.1:9/api/", 'server_name = "shop.example.com"\n')
    examination = await _compared("setting_without_effect", place, store)
    assert [each.verdict for each in examination.warnings if each.subject is Subject.STORE] == [
        "setting_without_effect"
    ]


async def test_a_web_server_with_another_time(place: Place, store: ScriptedStore) -> None:
    fields = f"PSWS-Version: 8.2.4\r\nDate: {formatdate(time.time() - 7200, usegmt=True)}\r\n".encode()
    body = b"<prestashop><errors><error><code>20</code></error></errors></prestashop>"
    store.script = answer("401 Unauthorized", body, fields)
    examination = await _compared("clock_off-store", place, _store(f"http://127.0.0.1:{store.port}/api/"))
    assert "clock_off" in {each.verdict for each in examination.warnings}
    assert examination.exit_code == 0


async def test_only_the_store_that_is_meant_is_asked(place: Place, store: ScriptedStore) -> None:
    async with sample_store.running() as shop:
        url = f"http://127.0.0.1:{shop.port}/api/"
        scope = Scope(stores=read_store_url(url).candidates, servers=False)
        both = _store(f"http://127.0.0.1:{store.port}/api/") + _store(url, 'id_shop = "1"\n')
        examination = await _compared("well-store", place, both, scope)
    assert {each.name for each in examination.findings if each.subject is Subject.STORE} == {url}
    assert store.requests == []
