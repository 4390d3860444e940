"""What each answer to ``GET /api/`` means: one verdict per cause, a remedy for each, and no byte of a secret."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.doctor.answer import ProbeAnswer, detail_of
from agent.doctor.diagnose import diagnose
from agent.doctor.diagnosis import Mode, Question
from agent.errors import CONTRACT, ExchangeError, PolicyDenied, StoreTimeout, StoreTlsFailed, StoreUnreachable
from agent.store_url import Store

STORE = Store("https", "shop.example", 443, "/shop/")
PLAIN = Store("http", "shop.example", 80, "/")
PS = ((b"X-Powered-By", b"PrestaShop Webservice"), (b"PSWS-Version", b"8.2.4"))
HTML = ((b"Content-Type", b"text/html"),)


def errors(*codes: int) -> bytes:
    return b"".join(b"<error><code><![CDATA[%d]]></code></error>" % code for code in codes)


def listing(*resources: str) -> bytes:
    rows = "".join(
        f'<{name} xlink:href="h" get="true" put="false"><description xlink:href="h" get="true">d</description>'
        f'<schema xlink:href="h?schema=blank" type="blank"/></{name}>'
        for name in resources
    )
    return f'<?xml version="1.0"?><prestashop><api shopName="get=&quot;true&quot;">{rows}</api></prestashop>'.encode()


def redirect(location: str, status: int = 302) -> ProbeAnswer:
    return ProbeAnswer(status, ((b"Location", location.encode()),))


@pytest.mark.parametrize(
    ("answer", "verdict", "webservice_found"),
    [
        (ProbeAnswer(200, PS, listing("products", "stock_availables")), "ok", True),
        (ProbeAnswer(200, PS, b"<prestashop><api shopName='x'></api></prestashop>"), "key_without_permission", True),
        (ProbeAnswer(200, HTML, b"<html>welcome"), "not_a_webservice", False),
        (ProbeAnswer(200, HTML, b"<html><api-docs></api-docs>"), "not_a_webservice", False),
        (ProbeAnswer(200, HTML, b"<html><api get='x'>"), "not_a_webservice", False),
        (ProbeAnswer(200, HTML, listing("products")), "ok", True),
        (ProbeAnswer(401, HTML, b"401 Unauthorized"), "header_lost", True),
        (
            ProbeAnswer(401, ((b"WWW-Authenticate", b'Basic realm="Welcome to PrestaShop Webservice"'),), b""),
            "header_lost",
            True,
        ),
        (ProbeAnswer(401, ((b"WWW-Authenticate", b'Basic realm="Staging"'),), b"<html>"), "password_in_front", False),
        (ProbeAnswer(401, PS, errors(17)), "key_malformed", True),
        (ProbeAnswer(401, PS, errors(18)), "key_malformed", True),
        (ProbeAnswer(401, PS, errors(20, 21)), "key_unknown", True),
        (ProbeAnswer(401, PS, errors(21)), "key_without_permission", True),
        (ProbeAnswer(401, PS, errors(26)), "key_without_permission", True),
        (ProbeAnswer(401, ((b"PSWS-Version", b"0"),)), "key_unknown", True),
        (ProbeAnswer(401, PS), "key_without_permission", True),
        (ProbeAnswer(403, PS, errors(132)), "key_not_for_shop", True),
        (ProbeAnswer(403, HTML, b"<html>blocked"), "firewall", False),
        (ProbeAnswer(403, HTML, errors(403)), "firewall", False),
        (ProbeAnswer(405, PS, errors(23)), "unexpected_status", False),
        (ProbeAnswer(406, HTML, b"<html>"), "firewall", False),
        (ProbeAnswer(429, HTML, b"slow down"), "firewall", False),
        (ProbeAnswer(404, HTML, b"<html>"), "wrong_folder", False),
        (ProbeAnswer(404, PS, errors(999)), "shop_unknown", False),
        (ProbeAnswer(503, PS, errors(22)), "webservice_off", True),
        (ProbeAnswer(503, HTML, b"<html>maintenance"), "store_down", False),
        (ProbeAnswer(502, HTML, b"<html>bad gateway"), "store_down", False),
        (ProbeAnswer(500, HTML, b""), "store_error_empty", True),
        (ProbeAnswer(500, PS, errors(3)), "store_error", True),
        (ProbeAnswer(500, HTML, b"<html>error"), "store_down", False),
        (ProbeAnswer(204, PS), "unexpected_status", False),
        (ProbeAnswer(418, HTML), "unexpected_status", False),
        (redirect("https://www.shop.example/?url=x"), "wrong_host", False),
        (redirect("http://127.0.0.1:8081/", 301), "wrong_host", False),
        (redirect("https://shop.example/login"), "redirected", False),
        (redirect("/login"), "redirected", False),
        (redirect("https://[broken/"), "redirected", False),
        (redirect("https://bad host\x01/"), "redirected", False),
        (ProbeAnswer(302), "redirected", False),
    ],
)
def test_each_cause_has_its_verdict(answer: ProbeAnswer, verdict: str, webservice_found: bool) -> None:
    diagnosis = diagnose(answer, Question(STORE))
    assert (diagnosis.verdict, diagnosis.webservice_found) == (verdict, webservice_found)
    assert diagnosis.finding.endswith((".", ")"))
    assert bool(diagnosis.remedy) == (verdict != "ok")
    assert diagnosis.ok == (verdict == "ok")


def test_version_and_resources_are_counted() -> None:
    diagnosis = diagnose(ProbeAnswer(200, PS, listing("products", "orders", "stock_availables")), Question(STORE))
    assert (diagnosis.version, diagnosis.resource_count) == ("8.2.4", 3)
    assert "PrestaShop 8.2.4, 3 resources" in diagnosis.finding
    assert "1 resource open" in diagnose(ProbeAnswer(200, PS, listing("products")), Question(STORE)).finding


@pytest.mark.parametrize("version", [b"0", b"<script>", b"", b"8" * 40])
def test_a_version_that_is_none_is_not_repeated(version: bytes) -> None:
    diagnosis = diagnose(ProbeAnswer(200, ((b"psws-version", version),), listing("products")), Question(STORE))
    assert (diagnosis.ok, diagnosis.version) == (True, None)


@pytest.mark.parametrize("error", CONTRACT, ids=lambda error: error.name)
def test_errors_of_ours_are_explained_from_the_contract(error: type[ExchangeError]) -> None:
    diagnosis = diagnose(ProbeAnswer(502, error_name=error.name, error_detail="More about it."), Question(STORE))
    assert diagnosis.verdict == error.name
    assert diagnosis.finding.endswith("More about it.")
    assert diagnosis.remedy == error.remedy
    assert not diagnosis.webservice_found


def test_a_wrong_host_names_both_names_and_nothing_else_of_the_location() -> None:
    answer = redirect("http://user:CANARY@www.shop.example:8080/?url=products&ws_key=CANARY")
    diagnosis = diagnose(answer, Question(STORE, "cloud", shop_host="relay.example:81"))
    assert '"relay.example:81"' in diagnosis.finding
    assert "--shop-host" in diagnosis.remedy
    assert "agent" not in diagnosis.finding + diagnosis.remedy
    assert '"www.shop.example:8080"' in diagnosis.finding
    assert "CANARY" not in diagnosis.finding + diagnosis.remedy


def test_on_premise_the_name_that_was_sent_is_the_agents_own() -> None:
    diagnosis = diagnose(redirect("http://www.shop.example/"), Question(STORE, shop_host="relay.example"))
    assert (diagnosis.verdict, "relay.example" in diagnosis.finding) == ("wrong_host", False)
    assert 'shop_host = "www.shop.example" under this store in the agent.toml' in diagnosis.remedy
    assert "--shop-host" not in diagnosis.remedy


@pytest.mark.parametrize("mode", ["cloud", "on-premise"])
def test_a_redirect_to_https_of_another_name_may_want_both(mode: Mode) -> None:
    diagnosis = diagnose(redirect("https://www.shop.example/"), Question(PLAIN, mode))
    assert (diagnosis.verdict, "wants https" in diagnosis.remedy) == ("wrong_host", True)


@pytest.mark.parametrize("error", [StoreUnreachable, StoreTlsFailed, StoreTimeout, PolicyDenied])
def test_without_an_agent_no_remedy_sends_a_person_to_one(error: type[ExchangeError]) -> None:
    remedy = diagnose(ProbeAnswer(502, error_name=error.name), Question(STORE, "cloud")).remedy
    assert not re.search(r"agent's (machine|settings)|agent\.toml|agent, if any", remedy)


@pytest.mark.parametrize("error", CONTRACT, ids=lambda error: error.name)
@pytest.mark.parametrize("detail", ["", "10.0.0.5:80 refused the connection."])
def test_of_a_message_only_the_detail_is_left(error: type[ExchangeError], detail: str) -> None:
    assert detail_of(error.name, error(detail).message) == detail
    assert detail_of("of_a_newer_agent", "of_a_newer_agent: What it says.") == "What it says."


def test_a_redirect_to_https_of_the_same_name_says_https() -> None:
    diagnosis = diagnose(redirect("https://SHOP.example/api/"), Question(PLAIN))
    assert diagnosis.verdict == "https_only"
    assert "https://shop.example/" in diagnosis.remedy


@given(
    st.integers(100, 599),
    st.lists(st.tuples(st.sampled_from([b"Location", b"PSWS-Version", b"X-Powered-By"]), st.binary(max_size=80))),
    st.binary(max_size=300) | st.just(b"<api" * 9),
)
def test_no_answer_of_a_store_breaks_it_or_gets_onto_the_terminal(
    status: int, fields: list[tuple[bytes, bytes]], body: bytes
) -> None:
    diagnosis = diagnose(ProbeAnswer(status, tuple(fields), body), Question(STORE))
    assert (diagnosis.finding + diagnosis.remedy).isprintable()
    assert diagnosis.ok or diagnosis.remedy


def test_a_404_says_how_to_tell_a_wrong_folder_from_missing_rewrite_rules() -> None:
    store = Store("https", "shop.example", 443, "/shop/", "b2b/")
    remedy = diagnose(ProbeAnswer(404, HTML, b"<html>"), Question(store)).remedy
    assert "https://shop.example/shop/webservice/dispatcher.php?url= in a browser" in remedy
    assert "Shop parameters > Traffic & SEO" in remedy


@pytest.mark.parametrize(
    ("id_shop", "location", "verdict"),
    [
        ("99", "https://shop.example/shop/?url=", "shop_unknown"),
        ("99", "https://shop.example/login", "redirected"),
        ("", "https://shop.example/shop/?url=", "redirected"),
        ("all", "https://shop.example/shop/?url=", "redirected"),
        ("99", "https://www.shop.example/shop/?url=", "wrong_host"),
    ],
)
def test_prestashop_sends_home_who_asks_for_a_shop_that_it_does_not_know(
    id_shop: str, location: str, verdict: str
) -> None:
    store = Store("https", "shop.example", 443, "/shop/", "", id_shop)
    assert diagnose(redirect(location), Question(store)).verdict == verdict


def test_a_key_in_the_query_is_not_advised_to_who_sends_it_there() -> None:
    answer = ProbeAnswer(401, HTML, b"401 Unauthorized")
    diagnosis = diagnose(answer, Question(STORE, key_in="ws_key"))
    assert (diagnosis.verdict, diagnosis.webservice_found) == ("query_lost", True)
    assert "Send the key as ws_key" not in diagnosis.remedy


@pytest.mark.parametrize(
    ("store", "verdict"), [(PLAIN, "https_only"), (STORE, "unexpected_status")], ids=["http", "https"]
)
def test_a_web_server_that_wants_tls_on_this_port_is_asked_over_https(store: Store, verdict: str) -> None:
    body = b"You're speaking plain HTTP to an SSL-enabled server port."
    assert diagnose(ProbeAnswer(400, HTML, body), Question(store)).verdict == verdict
