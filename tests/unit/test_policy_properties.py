"""Properties of the policy that hold for every request and every rule."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.http1 import parse_request_head
from agent.policy import METHODS, Denial, Rule, judge, narrow, sent_content_type
from agent.rewrite import forwarded_fields, request_head
from agent.store_url import Store
from agent.target import gateway_target, store_target
from tests.unit.test_policy import ALL, ALL_SHOPS, FOLDER, MULTIPART, ROOT, SHOP_2, VIRTUAL

stores = st.sampled_from([ROOT, FOLDER, VIRTUAL, SHOP_2, ALL_SHOPS])
resources = st.none() | st.frozensets(st.sampled_from(["products", "customers", "images"]))


@st.composite
def rules(draw: st.DrawFn, store: st.SearchStrategy[Store] = stores) -> Rule:
    return Rule(draw(store), draw(st.frozensets(st.sampled_from(METHODS))), draw(resources))


PLAIN_SEGMENTS = ["products", "images", "1", "customers", "small_default"]
PLAIN_PARAMETERS = ["limit=1", "filter[id]=[1|2]", "filter%5Bname%5D=%5Ba%5D", "a=b;c", "x", "+a.b=%00", "ws_key=K", ""]
NASTY_SEGMENTS = ["..", "%2e", "a&b", "", "."]
NASTY_PARAMETERS = ["id_shop=2", "id_shop=all", "ps_method=PUT", "url=x", "id.shop=2", "%00", "a#b", "id_shop[]=2"]


@st.composite
def requests(draw: st.DrawFn, *, plain: bool = False) -> tuple[Store, bytes, bytes, bytes | None]:
    """A store, and the method, target and Content-Type of a request to it; ``plain``: mostly one that passes."""
    store = draw(stores)
    segments = PLAIN_SEGMENTS + ([] if plain else NASTY_SEGMENTS)
    parameters = PLAIN_PARAMETERS + ([] if plain else NASTY_PARAMETERS)
    path = store.shop_path + "/".join(["api", *draw(st.lists(st.sampled_from(segments), max_size=4))])
    query = draw(st.lists(st.sampled_from(parameters), max_size=4))
    if store.id_shop and (plain or draw(st.booleans())):
        query.append(f"id_shop={store.id_shop}")
    target = path + ("?" + "&".join(query) if query else "")
    method = draw(st.sampled_from(METHODS)).encode()
    if plain:
        if method == b"POST" and path.startswith(f"{store.shop_path}api/images/") and draw(st.booleans()):
            target += ("&" if query else "?") + "ps_method=PUT"
        content_type = draw(st.sampled_from([None, b"text/xml", b"application/x-www-form-urlencoded"]))
        return store, method, target.encode(), sent_content_type(method, content_type)
    content_type = draw(st.sampled_from([None, b"text/xml", MULTIPART, b"application/x-www-form-urlencoded"]))
    return store, method, target.encode(), content_type


@settings(max_examples=400)
@given(requests(), st.data())
def test_narrowing_never_widens(request: tuple[Store, bytes, bytes, bytes | None], data: st.DataObject) -> None:
    """Through the narrowed rule passes exactly what passes through both."""
    store, message = request[0], request[1:]
    same = st.just(store)
    first, second = data.draw(rules(same)), data.draw(rules(same))
    both = narrow(first, second)
    allowed = judge(first, *message).allowed and judge(second, *message).allowed
    assert judge(both, *message).allowed is allowed
    assert narrow(second, first) == both
    assert narrow(both, first) == both


@given(rules(), rules())
def test_rules_on_different_stores_have_nothing_in_common(first: Rule, second: Rule) -> None:
    both = narrow(first, second)
    assert both.store == first.store
    if first.store != second.store:
        assert both.methods == frozenset()
        assert both.resources == frozenset()


@settings(max_examples=400)
@given(requests(), rules())
def test_a_decision_depends_on_the_rights_only_after_the_grammar(
    request: tuple[Store, bytes, bytes, bytes | None], rule: Rule
) -> None:
    """A smaller rule changes nothing in what a request means, only whether it is open."""
    store, message = request[0], request[1:]
    full = judge(Rule(store, ALL), *message)
    other = judge(Rule(store, rule.methods, rule.resources), *message)
    if full.denial not in (None, Denial.METHOD, Denial.RESOURCE):
        assert other.denial is full.denial
    assert (other.method, other.resource) == (full.method, full.resource)
    if other.allowed:
        assert full == other


@settings(max_examples=1000)
@given(st.binary(max_size=60), stores, st.sampled_from([b"GET", b"POST"]))
def test_any_bytes_get_a_decision(tail: bytes, store: Store, method: bytes) -> None:
    target = store.shop_path.encode() + b"api/products" + tail
    decision = judge(Rule(store, ALL), method, target, None)
    if decision.allowed:
        path, _, query = target.partition(b"?")
        assert not set(path) & set(b"%&;.\\#+ ")
        assert not set(query) & set(b"# \t\r\n\0")


@settings(max_examples=600)
@given(st.one_of(requests(plain=True), requests()), rules(), st.booleans())
def test_what_is_allowed_is_allowed_again_when_read_from_the_bytes_sent(
    request: tuple[Store, bytes, bytes, bytes | None], rule: Rule, cookie: bool
) -> None:
    """The next judge on the way (agent after gateway) sees the same request and comes to the same decision."""
    store, method, target, content_type = request
    rule = Rule(store, rule.methods | {"GET", "POST"}, rule.resources)
    raw = method + b" " + target + b" HTTP/1.1\r\nHost: gateway\r\n"
    if content_type is not None:
        raw += b"content-TYPE:  " + content_type + b" \r\nContent-Length: 3\r\n"
    if cookie:
        raw += b"Cookie: ps_method=DELETE\r\nX_Forwarded_Host: x\r\n"
    if b"#" in target:
        return
    head = parse_request_head(raw + b"\r\n")
    sent_type = sent_content_type(head.method, head.get(b"content-type"))
    decision = judge(rule, head.method, head.target, sent_type)
    if not decision.allowed:
        return
    sent = parse_request_head(request_head(head, head.target, store.authority.encode(), forwarded_fields(head)))
    assert (sent.method, sent.target) == (method, target)
    assert sent.get(b"content-type") == sent_type
    assert sent.get(b"cookie") is None
    assert judge(rule, sent.method, sent.target, sent.get(b"content-type")) == decision


@settings(max_examples=400)
@given(requests(plain=True))
def test_the_way_through_the_gateway_changes_no_allowed_target(
    request: tuple[Store, bytes, bytes, bytes | None],
) -> None:
    """From a target at the store to the client's target at the gateway and back."""
    store, method, target, content_type = request
    decision = judge(Rule(store, ALL), method, target, content_type)
    assert decision.denial in (None, Denial.METHOD)  # METHOD: a write to the root listing
    rest = target[len(store.shop_path) - 1 :]
    assert gateway_target(b"/shop-lyon" + rest) == (b"shop-lyon", rest)
    assert gateway_target(b"http://gateway:80/shop-lyon" + rest) == (b"shop-lyon", rest)
    assert store_target(store, rest) == target
