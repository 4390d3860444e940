"""The policy: may these exact bytes reach the store? Pure: no asyncio, no logging, no settings.

Default deny, by grammar. PrestaShop lets a request say, in many places and spellings, that it is another request:
``GET /api/products/1?ps_method=DELETE`` deletes, ``?url=customers`` reads another resource, ``?id_shop=2`` works on
another shop. A right on a method and a resource means something only where every such spelling is refused, so what
cannot be read in exactly one way does not pass. Agent, gateway and Cloud mode all call ``judge``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

from agent.php_query import php_readings, php_urldecode
from agent.store_url import Store

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

MAX_PARAMETERS: Final = 200
"""Parameters in one query. PHP stops reading after ``max_input_vars`` (1000), and what follows would not count."""

MULTIPART_METHODS: Final = frozenset({"POST", "PUT", "DELETE"})
"""Rights that a multipart upload needs: a form field ``ps_method`` in its body, which is not read here, chooses.

It can choose GET, too, which shows a picture that the shop shows to everybody. A form field ``id_shop`` is heard only
where the query has none: on a multistore, give each connection the ``id_shop`` of its shop to pin it for uploads."""

_METHOD_NAMES: Final = {name.encode(): name for name in METHODS}
_AMPERSAND: Final = ord("&")
_READS: Final = frozenset({"GET", "HEAD"})
_OVERRIDES: Final = frozenset({b"url", b"ps_method"})
# Since 8.x PrestaShop reads `id_shop_group` too, before `id_group_shop`, and both before `id_shop`.
_GROUPS: Final = frozenset({b"id_group_shop", b"id_shop_group"})

# `.`, `%`, `&`, `;` and `\` have no place here: web servers resolve, decode or split at them before PrestaShop looks.
_API_PATH: Final = re.compile(rb"api(?:/([A-Za-z0-9_-]+)((?:/[A-Za-z0-9_-]+)*))?/?")
# Visible ASCII and what is above it; `#` would end the query for Apache and nginx, blanks and controls the line.
_QUERY_BYTES: Final = re.compile(rb"[!\"$-~\x80-\xff]*+")
# The decoded name of a parameter. More than this no client sends, and a PHP with mbstring's encoding translation
# could turn other characters (`+AHA-s_method` in UTF-7) into a name that was not judged.
_NAME_BYTES: Final = re.compile(rb"[A-Za-z0-9_.\[\] -]*+")
# What nearly all queries look like: plain names other than those that mean something here, `[x]` raw or encoded.
_HARMLESS_QUERY: Final = re.compile(
    rb"(?:(?!(?:url|ps_method|id_shop|id_group_shop|id_shop_group)(?![A-Za-z0-9_]))"
    rb"[A-Za-z][A-Za-z0-9_]*+(?:(?:\[|%5[Bb])[A-Za-z0-9_]*+(?:\]|%5[Dd]))*"
    rb"(?:=[^\x00-\x20\x7f#&;]*+)?(?:&|\Z)){0,200}"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """What is open on one store: HTTP methods, and webservice resources (None = every resource).

    Methods are taken as listed: GET does not imply HEAD.
    """

    store: Store
    methods: frozenset[str] = frozenset({"GET", "HEAD"})
    resources: frozenset[str] | None = None


class Denial(Enum):
    """Why a request is refused. ``METHOD`` and ``RESOURCE`` are a matter of rights, all others of grammar."""

    METHOD = "method"
    RESOURCE = "resource"
    PATH = "path"
    QUERY = "query"
    OVERRIDE = "override"
    SHOP = "shop"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict; ``method`` and ``resource`` are the effective ones ("" = the root listing, or not known)."""

    denial: Denial | None
    detail: str
    method: str
    resource: str

    @property
    def allowed(self) -> bool:
        """True when the bytes that were judged may be sent."""
        return self.denial is None


@dataclass(frozen=True, slots=True)
class _Refused:
    denial: Denial
    detail: str


def judge(rule: Rule, method: bytes, target: bytes, content_type: bytes | None) -> Decision:
    """Judge a request exactly as it will be sent to the store.

    ``target`` is the origin-form (RFC 9112 3.2.1), ``content_type`` the value that will be sent (see
    ``sent_content_type``), None for none. Never raises; ``detail`` is our own text and holds no byte of the request.
    """
    verb = _METHOD_NAMES.get(method)
    if verb is None:
        return Decision(Denial.METHOD, "The webservice has no such method.", "", "")
    store = rule.store
    path, _, query = target.partition(b"?")
    prefix = _prefix_of(store.base_path, store.virtual_uri)
    match = _API_PATH.fullmatch(path, len(prefix)) if path.startswith(prefix) else None
    if match is None:
        return Decision(Denial.PATH, "The path is not the store's api/ followed by plain segments.", verb, "")
    resource = (match[1] or b"").decode()
    is_image = resource == "images" and match[2] != b""
    effective = verb
    # Without a query nothing is left to read; with id_shop it ends as `target.store_target` writes it.
    end = len(query)
    if store.id_shop:
        pinned = b"id_shop=" + store.id_shop.encode()
        before = end - len(pinned)
        end = before if query.endswith(pinned) and (before == 0 or query[before - 1] == _AMPERSAND) else -1
    if end < 0 or (end and _HARMLESS_QUERY.fullmatch(query, 0, end) is None):
        verdict = _judge_query(store.id_shop.encode(), verb == "POST" and is_image, query)
        if isinstance(verdict, _Refused):
            return Decision(verdict.denial, verdict.detail, verb, resource)
        effective = verdict or verb
    if verb == "POST" and content_type is not None and content_type != b"text/xml":
        refused = _judge_form(rule, is_image, content_type.lower())
        if refused is not None:
            return Decision(refused.denial, refused.detail, effective, resource)
    if effective not in rule.methods:
        return Decision(Denial.METHOD, "This method is not open on this store.", effective, resource)
    if resource == "":
        if effective not in _READS:
            return Decision(Denial.METHOD, "The list of resources can only be read.", effective, resource)
    elif rule.resources is not None and resource not in rule.resources:
        return Decision(Denial.RESOURCE, "This resource is not open on this store.", effective, resource)
    return _allowed(effective, resource)


def sent_content_type(method: bytes, content_type: bytes | None) -> bytes | None:
    """The Content-Type that is sent to the store for a request that came with ``content_type``.

    PHP reads a POST body as form fields, overrides included, only if its type says so, and PrestaShop ignores the
    type of XML: on POST everything but multipart, which image uploads need, is therefore sent as ``text/xml``.
    """
    if method != b"POST" or content_type is None or b"multipart" in content_type.lower():
        return content_type  # without a type PHP reads no form
    return b"text/xml"


def narrow(first: Rule, second: Rule) -> Rule:
    """What both rules allow; nothing at all when they are about different stores."""
    if first.store != second.store:
        return Rule(first.store, frozenset(), frozenset())
    if first.resources is None or second.resources is None:
        resources = second.resources if first.resources is None else first.resources
    else:
        resources = first.resources & second.resources
    return Rule(first.store, first.methods & second.methods, resources)


@lru_cache(maxsize=1024)
def _prefix_of(base_path: str, virtual_uri: str) -> bytes:
    return (base_path + virtual_uri).encode()


@lru_cache(maxsize=1024)
def _allowed(method: str, resource: str) -> Decision:
    return Decision(None, "", method, resource)


def _judge_query(id_shop: bytes, may_put: bool, query: bytes) -> _Refused | str | None:
    """The refusal; or the method that the query makes effective, None for no change."""
    if _QUERY_BYTES.fullmatch(query) is None:
        return _Refused(Denial.QUERY, "The query holds a byte that must be percent-encoded.")
    if query.count(b"&") + query.count(b";") >= MAX_PARAMETERS:
        return _Refused(Denial.QUERY, f"The query has more than {MAX_PARAMETERS} parameters.")
    meanings: set[str | None] = set()
    for reading in php_readings(query):
        shops: list[bytes | None] = []
        override: str | None = None
        for name, is_array, raw_name, raw_value in reading:
            if name in _OVERRIDES:
                plain = raw_name == b"ps_method" and raw_value == b"PUT"
                if not (plain and may_put and override is None):
                    return _Refused(
                        Denial.OVERRIDE,
                        "The query overrides method or path; only POST api/images/...?ps_method=PUT may do that.",
                    )
                override = "PUT"
            elif name == b"id_shop":
                shops.append(None if is_array else php_urldecode(raw_value))
            elif name in _GROUPS:
                return _Refused(Denial.SHOP, "The query names a group of shops.")
            elif _NAME_BYTES.fullmatch(php_urldecode(raw_name)) is None:
                return _Refused(Denial.QUERY, "A parameter's name holds a character that no PrestaShop name has.")
        if shops != ([id_shop] if id_shop else []):
            return _Refused(Denial.SHOP, "The query must name the shop of this store, and no other (id_shop).")
        meanings.add(override)
    if len(meanings) > 1:
        return _Refused(Denial.OVERRIDE, "Where ; separates parameters, too, this query means another method.")
    return meanings.pop()


def _judge_form(rule: Rule, is_image: bool, content_type: bytes) -> _Refused | None:
    if b"urlencoded" in content_type:
        return _Refused(Denial.BODY, "A POST that the store would read as a form must be sent as text/xml.")
    if b"multipart" not in content_type:
        return None
    if not is_image:
        return _Refused(Denial.BODY, "Multipart bodies are for POST under api/images/ only.")
    if not rule.methods >= MULTIPART_METHODS:
        return _Refused(Denial.METHOD, "An image upload can carry any method: POST, PUT and DELETE must be open.")
    return None
