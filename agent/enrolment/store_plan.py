"""From what a person says of a store to what is written into the settings, and what that opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

from agent.errors import SettingsError
from agent.opening import Opening
from agent.policy import METHODS
from agent.probe import ProbeResult, probe_opening
from agent.settings import ENV_PREFIX, AgentSettings, StoreSettings, TimeoutSettings, load_settings
from agent.store_url import Store, left_out_of, read_store_url

READ: Final = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class StoreWish:
    """What was said of a store; None is "nothing said". The fields but ``url`` are those of ``StoreSettings``."""

    url: str = field(repr=False)  # a back-office address carries a token
    methods: str | tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    connect: str | None = None
    ca_file: str | None = None
    shop_host: str | None = None
    id_shop: str | None = None
    virtual_uri: str | None = None

    def said(self) -> dict[str, Any]:
        """The settings that were said, but the address."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "url"}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value is not None
        }


@dataclass(frozen=True, slots=True)
class StorePlan:
    """``values`` is what has to be written, none when the settings say it already; ``index`` None: a new table.

    ``opening`` is the store as it is open then. ``readings`` are what was asked because the address could be read in
    several ways; without ``certain`` none of them could be told to be right, and the likeliest was taken.
    """

    opening: Opening
    index: int | None
    values: Mapping[str, Any]
    readings: tuple[ProbeResult, ...] = ()
    certain: bool = True
    left_out: tuple[str, ...] = ()
    stays: str = ""  # what is open beyond that which was said

    @property
    def result(self) -> str:
        """``added``, ``changed`` or ``unchanged``."""
        return "added" if self.index is None else "changed" if self.values else "unchanged"

    def warnings(self) -> list[str]:
        """What works and should be known, a sentence each."""
        found = list(self.opening.warnings())
        if self.stays:
            found.append(f"{self.stays} stays open; to open less, remove the store and add it again.")
        if not self.certain:
            others = ", ".join(store.webservice_url for store in self._others())
            found.append(
                f"The address can be read in several ways, and the webservice answered at none of them alone: this is "
                f"the likeliest; the others are {others}. If it is wrong, remove it and add the address that ends in "
                "/api/."
            )
        return found

    def _others(self) -> list[Store]:
        return [each.store for each in self.readings if each.store != self.opening.store]


async def plan_store(wish: StoreWish, there: Sequence[Opening], timeouts: TimeoutSettings) -> StorePlan:
    """How ``wish`` becomes part of the settings that open ``there``. The store is asked where its address is not clear.

    Raises:
        SettingsError: the address or another value cannot be used.
    """
    read_store_url(wish.url)  # its errors repeat nothing of the address
    asked = Opening.of(_checked({"url": wish.url, **wish.said()}))
    decided, readings = await probe_opening(asked, timeouts)
    index = _index_of(decided, there)
    if index is not None:
        return _changed(wish, there, index, decided, readings)
    store = decided.store
    values: dict[str, Any] = {"url": store.webservice_url, "methods": "read", **wish.said()}
    if store.id_shop:
        values["id_shop"] = store.id_shop
    values["methods"] = shown_methods(_checked(values).methods)
    opening = Opening.of(_checked(values))
    left_out = left_out_of(wish.url, store)
    return StorePlan(opening, None, values, readings, decided.certain, left_out)


def find_store(url: str, there: Sequence[Opening]) -> int | None:
    """Which of ``there`` the address means, however it is written; None when none of them.

    Raises:
        SettingsError: it cannot be read, or can mean several of them.
    """
    candidates = read_store_url(url).candidates
    found = [index for index, opening in enumerate(there) if set(candidates) & set(opening.candidates)]
    if len(found) > 1:  # the likeliest reading decides, where it is one of them for certain
        found = [index for index in found if there[index].candidates == candidates[:1]] or found
    if not found:  # an address from a browser need not say which shop of several is meant
        bare = {_bare(store) for store in candidates}
        found = [index for index, opening in enumerate(there) if bare & {_bare(each) for each in opening.candidates}]
    if len(found) > 1:
        shown = " or ".join(str(there[index].store) for index in found)
        raise SettingsError(f"This address can mean {shown}: write the one that is meant in this form.")
    return found[0] if found else None


def shown_methods(methods: Sequence[str]) -> str | list[str]:
    """As the settings file says it in the fewest words."""
    if set(methods) == set(READ):
        return "read"
    return "write" if set(methods) == set(METHODS) else [each for each in METHODS if each in methods]


def _index_of(decided: Opening, there: Sequence[Opening]) -> int | None:
    likeliest = next((index for index, each in enumerate(there) if each.candidates == decided.candidates[:1]), None)
    if likeliest is not None:
        return likeliest
    wanted = set(decided.candidates)
    return next((index for index, each in enumerate(there) if wanted & set(each.candidates)), None)


def _changed(
    wish: StoreWish, there: Sequence[Opening], index: int, decided: Opening, readings: tuple[ProbeResult, ...]
) -> StorePlan:
    """Only what was said is changed, and never so that less is open: what runs must not lose a right unnoticed."""
    before = there[index].settings
    said = {name: value for name, value in wish.said().items() if name not in ("id_shop", "virtual_uri")}
    wanted = _checked({"url": before.url, **said})
    methods = tuple(each for each in METHODS if each in before.methods or each in wanted.methods)
    resources = (
        None if before.resources is None else tuple(dict.fromkeys((*before.resources, *(wanted.resources or ()))))
    )
    stays = _stays(before, wanted, said)
    wanted = wanted.model_copy(update={"methods": methods, "resources": resources})
    values = {name: value for name, value in said.items() if not _same(getattr(before, name), getattr(wanted, name))}
    if "methods" in values:
        values["methods"] = shown_methods(methods)
    if "resources" in values and resources is not None:
        values["resources"] = list(resources)
    after = before.model_copy(update={name: getattr(wanted, name) for name in values})
    both = [store for store in there[index].candidates if store in decided.candidates]
    return StorePlan(
        Opening(after, (both[0],)), index, values, readings, left_out=left_out_of(wish.url, both[0]), stays=stays
    )


def _stays(before: StoreSettings, wanted: StoreSettings, said: Mapping[str, Any]) -> str:
    """What of ``before`` is not in what was said, in words; "" for nothing."""
    found: list[str] = []
    if "methods" in said:
        found += [each for each in METHODS if each in before.methods and each not in wanted.methods]
    if "resources" in said and before.resources is None:
        found.append("every resource")
    elif "resources" in said:
        found += sorted(set(before.resources or ()) - set(wanted.resources or ()))
    return ", ".join(found)


def _same(before: object, after: object) -> bool:
    """The order of methods and of resources says nothing."""
    if isinstance(before, tuple) and isinstance(after, tuple):
        return set(before) == set(after)
    return before == after


def _checked(values: Mapping[str, Any]) -> StoreSettings:
    """One store's settings as the settings file would have them. Raises SettingsError."""
    overrides = {"stores": [dict(values)]}
    settings = load_settings(AgentSettings, file=None, env_prefix=ENV_PREFIX, environ={}, overrides=overrides)
    return settings.stores[0]


def _bare(store: Store) -> tuple[str, str, int, str]:
    return store.scheme, store.host, store.port, store.shop_path
