"""What the answer to ``GET <shop>/api/`` says about a store, and what to do about it. Pure: no I/O.

Shared by the connection test of the server and by the agent's own doctor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from agent.doctor.answer import ProbeAnswer
from agent.errors import BY_NAME
from agent.store_url import Store

_RESOURCE: Final = re.compile(rb"<([a-z][a-z0-9_]{0,63})\s[^<>]*\bget=\"(?:true|false)\"")
_NOT_RESOURCES: Final = frozenset({b"description", b"schema"})

_CLOUD_REMEDIES: Final = {
    "policy_denied": "Widen the methods and resources of the connection; the log of the integration server names the "
    "rule.",
    "store_unreachable": "Check the store URL, and that the shop answers there when asked from the integration server; "
    "a shop on a private network needs an agent (mode on-premise).",
    "store_tls_failed": "Renew the certificate of the shop; one of a private CA needs an agent on the shop's network "
    "(mode on-premise), which can be told the CA.",
    "store_timeout": "Ask the shop's host why it is slow, or raise cloud.first_byte_timeout_s on the integration "
    "server.",
}
"""For the path without an agent, where the contract's remedy names one."""

# Where the webservice itself spoke, whatever it said.
_WEBSERVICE_VERDICTS: Final = frozenset(
    {
        "ok",
        "header_lost",
        "key_malformed",
        "key_unknown",
        "key_without_permission",
        "key_not_for_shop",
        "webservice_off",
        "store_error_empty",
        "store_error",
    }
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """``verdict`` is a stable name, ``finding`` what was seen, ``remedy`` what to do next ("" when all is well)."""

    verdict: str
    finding: str
    remedy: str
    status: int
    version: str | None = None
    resource_count: int | None = None

    @property
    def ok(self) -> bool:
        """True when the key opens the webservice."""
        return self.verdict == "ok"

    @property
    def webservice_found(self) -> bool:
        """True when it was PrestaShop's webservice that answered, even if it refused the key."""
        return self.verdict in _WEBSERVICE_VERDICTS


def diagnose(
    answer: ProbeAnswer,
    store: Store,
    shop_host: str | None = None,
    mode: Literal["cloud", "on-premise"] = "on-premise",
    sent_host: str | None = None,
) -> Diagnosis:
    """Judge the answer to ``GET <shop>/api/``; redirects must not have been followed.

    ``shop_host`` is what was sent as Host in mode cloud; on-premise the agent sends its own, which only it knows: it
    gives it as ``sent_host``.
    Nothing of the answer is repeated but a host name, a version and numbers: a Location can hold the key.
    """
    if answer.error_name is not None:
        return _not_answered(answer, mode)
    status = answer.status
    if status == 200:
        return _success(answer)
    if 300 <= status < 400:
        return _redirect(answer, store, shop_host, mode, sent_host)
    if status == 401:
        return _unauthorized(answer)
    if status in (403, 405, 406, 429) and not answer.codes:
        return Diagnosis(
            "firewall",
            f"The store answered {status} with a page that is not PrestaShop's: a firewall or the web server "
            "refuses the request.",
            "Let /api/ through in the web application firewall or security plug-in of the shop's host.",
            status,
        )
    if status == 403:
        return Diagnosis(
            "key_not_for_shop",
            f"The key has no right on this shop of a multistore (error {answer.code_list}).",
            "Tie the key to this shop in the back office (Advanced parameters > Webservice), or set id_shop.",
            status,
        )
    if status == 404:
        return _not_found(answer, store)
    if status == 503 and 22 in answer.codes:
        return Diagnosis(
            "webservice_off",
            "The webservice of this shop is switched off (error 22).",
            "Switch it on in the back office: Advanced parameters > Webservice > Enable PrestaShop's webservice.",
            status,
        )
    if status >= 500:
        return _server_error(answer)
    return Diagnosis(
        "unexpected_status",
        f"The store answered {status}, which PrestaShop's webservice does not send for this request.",
        "Look at the log of the shop's web server at this time.",
        status,
    )


def _not_answered(answer: ProbeAnswer, mode: str) -> Diagnosis:
    name = answer.error_name or ""
    error = BY_NAME.get(name)
    summary = error.summary if error else "The request failed on its way."
    remedy = error.remedy if error else "Look at the log of the integration server."
    if mode == "cloud":
        remedy = _CLOUD_REMEDIES.get(name, remedy)
    finding = f"{summary} {answer.error_detail}".strip()
    return Diagnosis(name, finding, remedy, answer.status)


def _success(answer: ProbeAnswer) -> Diagnosis:
    if b"<api" not in answer.body:
        return Diagnosis(
            "not_a_webservice",
            "The store answered 200, but with something that is not PrestaShop's list of resources.",
            "Check the folder in the store URL, and that no other program answers at /api/ on this host.",
            answer.status,
        )
    count = len(set(_RESOURCE.findall(answer.body)) - _NOT_RESOURCES)
    version = answer.version
    shown = f"PrestaShop {version}" if version else "PrestaShop (version not said)"
    if not count:
        return Diagnosis(
            "key_without_permission",
            f"{shown} knows the key, but no resource is open to it.",
            "Tick the resources and methods that the integration needs for this key: Advanced parameters > Webservice.",
            answer.status,
            version,
            0,
        )
    many = "1 resource" if count == 1 else f"{count} resources"
    return Diagnosis("ok", f"{shown}, {many} open to this key.", "", answer.status, version, count)


def _redirect(answer: ProbeAnswer, store: Store, shop_host: str | None, mode: str, sent_host: str | None) -> Diagnosis:
    sent = (sent_host or (shop_host if shop_host and mode == "cloud" else store.authority)).lower()
    scheme, named = answer.redirect_place
    if named and _bare(named) == _bare(sent) and scheme == "https" and store.scheme == "http":
        return Diagnosis(
            "https_only",
            f"The store answers http with a redirect ({answer.status}) to https.",
            f"Use https in the store URL: https://{named}{store.shop_path}",
            answer.status,
        )
    if named and named != sent:
        return _wrong_host(answer, store, sent, mode, is_sure=sent_host is not None)
    return Diagnosis(
        "redirected",
        f"The store redirects ({answer.status}) instead of answering" + (f', to "{named}".' if named else "."),
        "Check the folder, id_shop and virtual folder in the store URL, and the redirect rules of the web server.",
        answer.status,
    )


def _wrong_host(answer: ProbeAnswer, store: Store, sent: str, mode: str, *, is_sure: bool) -> Diagnosis:
    scheme, named = answer.redirect_place
    if mode == "cloud":
        asked = f'The store was asked as "{sent}"'
        where = "give it as --shop-host (shop_host in the API) to the connection"
    else:
        other = "" if is_sure else ", or as the shop_host of the agent if that is set,"
        asked = f'The store was asked as "{sent}"{other}'
        where = f'set shop_host = "{named}" under this store in the agent.toml of the agent'
    remedy = f"If {named} is the shop's own domain, use it in the store URL, or {where} and keep the URL."
    if scheme == "https" and store.scheme == "http":
        remedy += " If that was done already, the shop wants https: use it in the store URL."
    return Diagnosis(
        "wrong_host",
        f'{asked} and redirects ({answer.status}) to "{named}": it does not know itself under the name that was sent.',
        remedy,
        answer.status,
    )


def _bare(authority: str) -> str:
    return re.sub(r":\d+$", "", authority)


def _unauthorized(answer: ProbeAnswer) -> Diagnosis:
    status = answer.status
    if not answer.codes and not answer.from_webservice:
        if answer.body.strip() == b"401 Unauthorized" or answer.asks_for_key:
            return Diagnosis(
                "header_lost",
                "The web server of the shop does not hand the Authorization header to PHP, so that PrestaShop sees "
                "no key at all (usual with FastCGI).",
                "Send the key as ws_key on this connection, or switch on CGI mode for the webservice in the back "
                "office, or set CGIPassAuth On in Apache.",
                status,
            )
        return Diagnosis(
            "password_in_front",
            "A password protection in front of the shop asks for its own credentials (401, not PrestaShop's).",
            "Exempt /api/ from that protection: there is one Authorization header, and it carries the API key.",
            status,
        )
    if answer.codes & {17, 18}:
        return Diagnosis(
            "key_malformed",
            f"PrestaShop says that the key is empty or not 32 characters long (error {answer.code_list}).",
            "Enter the API key again; if it is right, something on the way replaces the Authorization header.",
            status,
            answer.version,
        )
    if 20 in answer.codes:
        return Diagnosis(
            "key_unknown",
            f"PrestaShop does not know the key, or it is inactive (error {answer.code_list}).",
            "Copy the key again from Advanced parameters > Webservice, and check that it is enabled there.",
            status,
            answer.version,
        )
    return Diagnosis(
        "key_without_permission",
        f"The key is known, but has no permission (error {answer.code_list or 'without a code'}).",
        "Tick the resources and methods that the integration needs for this key: Advanced parameters > Webservice.",
        status,
        answer.version,
    )


def _not_found(answer: ProbeAnswer, store: Store) -> Diagnosis:
    if 999 in answer.codes:
        return Diagnosis(
            "shop_unknown",
            "PrestaShop does not know the shop number of this connection (error 999).",
            "Correct id_shop: the number stands in the address of the shop's page in the multistore settings.",
            answer.status,
        )
    return Diagnosis(
        "wrong_folder",
        f"Nothing is found at {store.webservice_url}: the folder is wrong, or URL rewriting is off.",
        "Compare the folder with the shop's address in the browser (without the admin folder); if it is right, "
        "generate the .htaccess file again in the back office: Shop parameters > Traffic & SEO.",
        answer.status,
    )


def _server_error(answer: ProbeAnswer) -> Diagnosis:
    status = answer.status
    if status == 500 and not answer.body.strip():
        return Diagnosis(
            "store_error_empty",
            "PrestaShop broke off with an error 500 and an empty body.",
            "Ask the shop's host for the PHP error log of this minute.",
            status,
        )
    if answer.codes:
        return Diagnosis(
            "store_error",
            f"PrestaShop answered {status} with its own error {answer.code_list}.",
            "Codes 2 to 15 are PHP warnings, often of a module: ask the shop's host for the PHP error log.",
            status,
            answer.version,
        )
    return Diagnosis(
        "store_down",
        f"The web server of the shop answered {status} with a page of its own.",
        "Open the shop in a browser; if it is down or under maintenance there too, ask its host.",
        status,
    )
