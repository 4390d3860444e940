"""From the address a person pasted to one store: by the text alone, or by asking each candidate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from agent.doctor.diagnosis import Diagnosis
from agent.errors import SettingsError
from agent.server.operations.failures import InvalidError
from agent.store_url import Store, make_store, read_store_url

CheckStore = Callable[[Store], Awaitable[Diagnosis]]
"""Asks one candidate whether a webservice answers there, with a key that is none."""


def read_candidates(text: str, *, virtual_uri: str = "", id_shop: str = "") -> tuple[Store, ...]:
    """The stores that ``text`` can mean, likeliest first, on the shop that was asked for.

    Raises InvalidError; nothing of ``text`` is repeated, since it may hold a token.
    """
    try:
        found = read_store_url(text).candidates
    except SettingsError as error:
        raise InvalidError(str(error), field="store_url") from None
    return tuple(
        dict.fromkeys(other_shop(store, virtual_uri=virtual_uri, id_shop=id_shop or store.id_shop) for store in found)
    )


def other_shop(store: Store, *, virtual_uri: str | None, id_shop: str | None) -> Store:
    """Another shop of the multistore that ``store`` is in; None = as it is. Raises InvalidError."""
    base_path, folder = store.base_path, store.virtual_uri
    if virtual_uri is not None:
        name = virtual_uri.strip("/")
        base_path, folder = _without(base_path, name), f"{name}/" if name else ""
    shop = store.id_shop if id_shop is None else id_shop
    try:
        return make_store(store.scheme, store.host, store.port, base_path, folder, shop)
    except SettingsError as error:
        raise InvalidError(str(error), field="store_url") from None


def _without(base_path: str, folder: str) -> str:
    """A multistore address may have been copied with its virtual folder."""
    return base_path.removesuffix(f"{folder}/") if folder and base_path.endswith(f"/{folder}/") else base_path


def choose_store(text: str, *, virtual_uri: str = "", id_shop: str = "") -> Store:
    """The one store that ``text`` means. Raises InvalidError, naming them, when there are several."""
    candidates = read_candidates(text, virtual_uri=virtual_uri, id_shop=id_shop)
    if len(candidates) > 1:
        raise _ambiguous(candidates, "")
    return candidates[0]


async def choose_store_by_asking(candidates: tuple[Store, ...], check: CheckStore | None) -> Store:
    """The first candidate where a webservice answers; nobody is asked when there is only one.

    Raises InvalidError, naming the candidates and what each answered, when none does.
    """
    if len(candidates) == 1:
        return candidates[0]
    if check is None:
        raise _ambiguous(candidates, "")
    findings: list[str] = []
    for store in candidates:
        diagnosis = await check(store)
        if diagnosis.webservice_found:
            return store
        findings.append(f"{store.webservice_url}: {diagnosis.verdict}")
    raise _ambiguous(candidates, f" None of them answered as a webservice ({', '.join(findings)}).")


def _ambiguous(candidates: tuple[Store, ...], findings: str) -> InvalidError:
    named = " or ".join(store.webservice_url for store in candidates)
    return InvalidError(
        f"The store URL can be read in {len(candidates)} ways.{findings} Say which one is meant by giving the "
        f"webservice's own address: {named}",
        field="store_url",
    )
