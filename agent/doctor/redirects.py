"""What a redirect in answer to ``GET <shop>/api/`` means: PrestaShop itself never redirects that. Pure: no I/O."""

from __future__ import annotations

import re

from agent.doctor.answer import ProbeAnswer
from agent.doctor.diagnosis import Diagnosis, Question


def diagnose_redirect(answer: ProbeAnswer, question: Question) -> Diagnosis:
    """Judge an answer 3xx. Of its Location only the host name is repeated: the rest can hold the key."""
    store, sent = question.store, question.host
    scheme, named = answer.redirect_place
    if named and _bare(named) == _bare(sent) and scheme == "https" and store.scheme == "http":
        return Diagnosis(
            "https_only",
            f"The store answers http with a redirect ({answer.status}) to https.",
            f"Use https in the store URL: https://{named}{store.shop_path}",
            answer.status,
        )
    if named and named != sent:
        return _wrong_host(answer, question)
    if store.id_shop.isdecimal() and answer.redirected_by_prestashop:
        # PrestaShop looks a numeric id_shop up before everything else, and sends an unknown one home.
        return unknown_shop(
            answer, f"redirects ({answer.status}) to its home page: it does not know shop {store.id_shop}"
        )
    return Diagnosis(
        "redirected",
        f"The store redirects ({answer.status}) instead of answering" + (f', to "{named}".' if named else "."),
        "Check the folder, id_shop and virtual folder in the store URL, and the redirect rules of the web server.",
        answer.status,
    )


def unknown_shop(answer: ProbeAnswer, seen: str) -> Diagnosis:
    """The number of the shop in a multistore is wrong."""
    return Diagnosis(
        "shop_unknown",
        f"PrestaShop {seen}.",
        "Correct id_shop: the back office shows the number of each shop under Advanced parameters > Multistore.",
        answer.status,
    )


def _wrong_host(answer: ProbeAnswer, question: Question) -> Diagnosis:
    scheme, named = answer.redirect_place
    if question.mode == "cloud":
        asked = f'The store was asked as "{question.host}"'
        where = "give it as --shop-host (shop_host in the API) to the connection"
    else:
        other = "" if question.sent_host is not None else ", or as the shop_host of the agent if that is set,"
        asked = f'The store was asked as "{question.host}"{other}'
        where = f'set shop_host = "{named}" under this store in the agent.toml of the agent'
    remedy = (
        f"If {named} is the shop's own domain (Shop parameters > Traffic & SEO > Set shop URL), use it in the store "
        f"URL, or {where} and keep the URL."
    )
    if scheme == "https" and question.store.scheme == "http":
        remedy += " If that was done already, the shop wants https: use it in the store URL."
    return Diagnosis(
        "wrong_host",
        f'{asked} and redirects ({answer.status}) to "{named}": it does not know itself under the name that was sent.',
        remedy,
        answer.status,
    )


def _bare(authority: str) -> str:
    return re.sub(r":\d+$", "", authority)
