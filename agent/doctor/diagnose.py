"""What the answer to ``GET <shop>/api/`` says about a store. Pure: no I/O.

Shared by the connection test of the server and by the agent's own doctor.
"""

from __future__ import annotations

import re
from typing import Final

from agent.doctor.answer import ProbeAnswer
from agent.doctor.diagnosis import Diagnosis, Question
from agent.doctor.permissions import read_permissions
from agent.doctor.redirects import diagnose_redirect, unknown_shop
from agent.doctor.refusals import diagnose_401, diagnose_403, no_permission
from agent.errors import BY_NAME
from agent.store_url import Store

_LISTING: Final = re.compile(rb"<api[\s>]")
_PLAIN_HTTP: Final = re.compile(rb"plain HTTP", re.IGNORECASE)
"""What both Apache and nginx write into their 400 for http on a port of https."""

_CLOUD_REMEDIES: Final = {
    "policy_denied": "Widen the methods and resources of the connection; the log of the integration server names the "
    "rule.",
    "store_unreachable": "Check the store URL, and that the shop answers there when asked from the integration server; "
    "a shop on a private network needs an agent (mode on-premise).",
    "store_tls_failed": "Renew the certificate of the shop; one of a private CA is trusted when its certificate is "
    "given to the connection.",
    "store_timeout": "Ask the shop's host why it is slow, or raise cloud.first_byte_timeout_s on the integration "
    "server.",
}
"""For the path without an agent, where the contract's remedy names one."""


def diagnose(answer: ProbeAnswer, question: Question) -> Diagnosis:
    """Judge the answer to ``question``; redirects must not have been followed.

    Nothing of the answer is repeated but a host name, a version and numbers: a Location can hold the key.
    """
    if answer.error_name is not None:
        return _not_answered(answer, question.mode)
    status = answer.status
    if status == 200:
        return _success(answer)
    if 300 <= status < 400:
        return diagnose_redirect(answer, question)
    if status == 401:
        return diagnose_401(answer, question)
    if status == 403 and (found := diagnose_403(answer)) is not None:
        return found
    if status in (403, 405, 406, 429) and not (answer.from_webservice and answer.codes):
        return Diagnosis(
            "firewall",
            f"The store answered {status} with a page that is not PrestaShop's: a firewall or the web server "
            "refuses the request.",
            "Let /api/ through in the web application firewall of the shop's host, or in the security module of the "
            "shop (Modules > Module Manager).",
            status,
        )
    if status == 404:
        return _not_found(answer, question.store)
    if status == 503 and 22 in answer.codes:
        return Diagnosis(
            "webservice_off",
            "The webservice of this shop is switched off (error 22).",
            "Switch it on in the back office: Advanced parameters > Webservice > Enable PrestaShop's webservice.",
            status,
        )
    if status >= 500:
        return _server_error(answer)
    if status == 400 and question.store.scheme == "http" and _PLAIN_HTTP.search(answer.body):
        return Diagnosis(
            "https_only",
            f"Port {question.store.port} of the store speaks https, and was asked over http.",
            "Use https in the store URL, or the port of the plain web server.",
            status,
        )
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
    if not (_LISTING.search(answer.body) and (answer.from_webservice or b"<prestashop" in answer.body)):
        return Diagnosis(
            "not_a_webservice",
            "The store answered 200, but with something that is not PrestaShop's list of resources.",
            "Check the folder in the store URL, and that no other program answers at /api/ on this host.",
            answer.status,
        )
    version = answer.version
    shown = f"PrestaShop {version}" if version else "PrestaShop (version not said)"
    count = sum(bool(methods) for methods in read_permissions(answer.body).values())
    if not count:
        return no_permission(answer, f"{shown} knows the key, but no resource is open to it.", 0)
    many = "1 resource" if count == 1 else f"{count} resources"
    return Diagnosis("ok", f"{shown}, {many} open to this key.", "", answer.status, version, count)


def _not_found(answer: ProbeAnswer, store: Store) -> Diagnosis:
    if 999 in answer.codes:
        return unknown_shop(answer, "does not know the shop number of this connection (error 999)")
    dispatcher = f"{store.origin}{store.base_path}webservice/dispatcher.php?url="
    return Diagnosis(
        "wrong_folder",
        f"Nothing is found at {store.webservice_url}: the folder is wrong, or URL rewriting is off.",
        f"Open {dispatcher} in a browser. If it asks for a user name, the folder is right and the rewrite rules are "
        "missing: switch Friendly URL on and save in the back office (Shop parameters > Traffic & SEO), which writes "
        ".htaccess anew, and see that Apache reads it (mod_rewrite, AllowOverride All); nginx needs a rule of its own "
        "for /api/. If it is not found either, the folder is wrong: compare it with the shop's address in the browser, "
        "without the admin folder.",
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
