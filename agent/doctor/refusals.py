"""What it means when a store refuses ``GET <shop>/api/`` with 401 or 403, or looks for no key at all. Pure: no I/O."""

from __future__ import annotations

from typing import Final

from agent.doctor.answer import ProbeAnswer
from agent.doctor.diagnosis import Diagnosis, Question

_KEYS: Final = "Advanced parameters > Webservice"
_TICK: Final = f"Tick the resources and methods that the integration needs for this key in the back office: {_KEYS}."


def no_permission(answer: ProbeAnswer, finding: str, resource_count: int | None = None) -> Diagnosis:
    """PrestaShop knows the key, and it opens nothing."""
    return Diagnosis("key_without_permission", finding, _TICK, answer.status, answer.version, resource_count)


def diagnose_401(answer: ProbeAnswer, question: Question) -> Diagnosis:
    """No key arrived, or PrestaShop does not take this one."""
    if not answer.codes and not answer.from_webservice:
        if answer.body.strip() == b"401 Unauthorized" or answer.asks_for_key:
            return _no_key_arrived(answer, question)
        return Diagnosis(
            "password_in_front",
            "A password protection in front of the shop asks for its own credentials (401, not PrestaShop's).",
            "Exempt /api/ from that protection: there is one Authorization header, and it carries the API key.",
            answer.status,
        )
    if answer.codes & {17, 18}:
        return Diagnosis(
            "key_malformed",
            f"PrestaShop says that the key is empty or not 32 characters long (error {answer.code_list}).",
            f"Copy the API key again from {_KEYS} in the back office, without blanks; if it is right, something on "
            "the way replaces the Authorization header.",
            answer.status,
            answer.version,
        )
    if 20 in answer.codes:
        return _unknown(answer, f"PrestaShop does not know the key, or it is inactive (error {answer.code_list}).")
    if not answer.codes and answer.version is None:
        # PSWS-Version is 0 until a key is accepted, for lack of permissions, too.
        return _unknown(answer, "PrestaShop refuses the key, and the web server keeps back the text that says why.")
    return no_permission(
        answer, f"The key is known, but has no permission (error {answer.code_list or 'without a code'})."
    )


def diagnose_403(answer: ProbeAnswer) -> Diagnosis | None:
    """The one 403 that PrestaShop sends; None for any other."""
    if 132 not in answer.codes:
        return None
    return Diagnosis(
        "key_not_for_shop",
        f"The key has no right on this shop of a multistore (error {answer.code_list}).",
        f"Tick this shop for the key in the back office ({_KEYS} > the key > Store association), or correct id_shop.",
        answer.status,
    )


def _unknown(answer: ProbeAnswer, finding: str) -> Diagnosis:
    remedy = f"Copy the key again from {_KEYS} in the back office, and check that it is enabled there."
    return Diagnosis("key_unknown", finding, remedy, answer.status, answer.version)


def _no_key_arrived(answer: ProbeAnswer, question: Question) -> Diagnosis:
    if question.key_in == "ws_key":
        return Diagnosis(
            "query_lost",
            "The web server of the shop does not hand the query of the address to PHP, so that PrestaShop sees no key "
            "at all, though it was sent as ws_key.",
            "Generate the .htaccess file again in the back office (Shop parameters > Traffic & SEO: save Friendly "
            "URL); on nginx, hand the arguments on in the rule for /api/ (&$args). Or send the key in the header "
            "again.",
            answer.status,
        )
    return Diagnosis(
        "header_lost",
        "The web server of the shop does not hand the Authorization header to PHP, so that PrestaShop sees no key at "
        "all (usual with FastCGI).",
        f"Send the key as ws_key on this connection, or switch on CGI mode in the back office ({_KEYS} > Enable CGI "
        "mode for PHP), or set CGIPassAuth On in Apache.",
        answer.status,
    )
