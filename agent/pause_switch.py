"""The running agent's pauses: commands change them, the file keeps them, the stores' gates obey them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog

from agent.errors import AgentError, StartError
from agent.forward.context import ForwardContext
from agent.forward.gate import StoreGate
from agent.limit_log import LimitLog
from agent.pause import PAUSE_MAX_S, Pause, Pauses, one_line
from agent.pause_file import PauseFile
from agent.store_name import is_meant, names_meant
from agent.store_url import Store

LOOK_EVERY_S: Final = 30.0
"""The wall clock may be set while a pause with an end waits for it."""

_log = structlog.get_logger("agent")


class PauseSwitch:
    """Pauses and limits of all stores. Whatever the file says stands from the start on, before any store is open."""

    def __init__(self, file: PauseFile) -> None:
        self._file = file
        self._now = file.now
        self._gates: dict[Store, StoreGate] = {}
        self._context: ForwardContext | None = None
        self._tell: Callable[[], None] = lambda: None
        self._timer: asyncio.TimerHandle | None = None
        self._limits = LimitLog()
        self._pauses, error = file.read_or_close()
        if error is not None:
            _log.error("pause.unreadable", detail=str(error))
        for name, pause in _named(self._pauses):
            _log.warning("store.paused", store=name, since=pause.since, until=pause.until, reason=pause.reason)

    def __repr__(self) -> str:
        return f"<PauseSwitch {len(self._pauses.all)} of {len(self._gates)} stores>"

    def watch(self, context: ForwardContext, tell: Callable[[], None]) -> None:
        """From now on there are exchanges; ``tell`` is called when the server should hear of a change."""
        self._context = context
        self._tell = tell
        self._look()

    def close(self) -> None:
        """Wait for nothing any more."""
        self._limits.close()
        if self._timer is not None:
            self._timer.cancel()

    def open(self, limits: Mapping[Store, int | None]) -> dict[Store, StoreGate]:
        """The gates of the stores that are open now, each with its requests a minute; those from before are kept."""
        clock = asyncio.get_running_loop().time
        gates = {store: self._gates.get(store) or StoreGate(self._limits.of(str(store))) for store in limits}
        for store, per_minute in limits.items():
            gates[store].limit(per_minute, clock)
            gates[store].set_pause(self.pause_of(store))
        self._gates = gates
        return gates

    def pause_of(self, store: Store) -> Pause | None:
        """The pause that closes ``store``."""
        return self._pauses.of(str(store))

    def pause(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The command ``pause``: ``stores`` (addresses; none: everything), ``for_s``, ``reason``, ``cut``, ``by``.

        Raises ``AgentError`` when the request cannot be understood; nothing was changed.
        """
        pause = new_pause(self._now(), request.get("for_s"), request.get("reason"))
        names = named_stores(request.get("stores"), tuple(str(store) for store in self._gates))
        self._pauses = self._pauses.still_on(self._now()).add(pause, names)
        self._apply()
        unkept = ""
        try:
            self._file.write(self._pauses)
        except StartError as error:  # what is asked to stop must stop, kept or not
            unkept = f"{error} Until then a restart of the agent ends this pause."
            _log.error("pause.not_kept", detail=unkept)
        for name in names or ("all",):
            _log.warning(
                "store.paused", store=name, until=pause.until, reason=pause.reason, by=one_line(str(request.get("by")))
            )
        context = self._context
        cut = context.stop_paused(self.pause_of) if context is not None and request.get("cut") is True else 0
        self._tell()
        return {**shown_pauses(self._pauses), "cut": cut, "unkept": unkept}

    def resume(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The command ``resume``: ``stores`` (addresses; none: everything), ``by``.

        Raises ``AgentError`` when it cannot be done; what is paused stays so.
        """
        names = resumed_stores(request.get("stores"), self._pauses)
        ended = [name for name, _ in _named(self._pauses) if names is None or name in names]
        left = self._pauses.still_on(self._now()).end(names)
        self._file.write(left)
        self._pauses = left
        self._apply()
        for name in ended:
            _log.warning("store.resumed", store=name, by=one_line(str(request.get("by"))))
        self._tell()
        return {**shown_pauses(left), "ended": ended}

    def _apply(self) -> None:
        for store, gate in self._gates.items():
            gate.set_pause(self.pause_of(store))
        self._await_end()

    def _look(self) -> None:
        """End the pauses whose time has come."""
        left = self._pauses.still_on(self._now())
        ended = [name for name, pause in _named(self._pauses) if pause.is_over(self._now())]
        self._pauses = left
        self._apply()
        if not ended:
            return
        for name in ended:
            _log.warning("store.resumed", store=name, by="its time")
        try:
            self._file.write(left)
        except StartError as error:  # its end stands in it
            _log.warning("pause.file_not_written", detail=str(error))
        self._tell()

    def _await_end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ends = [pause.until for pause in self._pauses.all if pause.until is not None]
        if ends and self._context is not None:
            delay_s = min(max(0.0, min(ends) - self._now()), LOOK_EVERY_S)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._look)


def new_pause(now: float, for_s: object, reason: object) -> Pause:
    """A pause that begins now. Raises ``AgentError`` for a time or a reason that is none."""
    is_time = isinstance(for_s, int | float) and not isinstance(for_s, bool) and 0 < for_s <= PAUSE_MAX_S
    if for_s is not None and not is_time:
        raise AgentError("The time of a pause is a number of seconds, ten years at most.")
    if reason is not None and not isinstance(reason, str):
        raise AgentError("The reason of a pause is a text.")
    until = now + float(for_s) if isinstance(for_s, int | float) else None
    return Pause(now, until, one_line(reason or ""))


def named_stores(urls: object, known: tuple[str, ...], what: str = "store here") -> tuple[str, ...] | None:
    """Those of the ``known`` stores that the addresses mean, None without any; one without a shop number means all
    shops there. ``what`` the known ones are is for sentences.

    Raises:
        AgentError: one of them means none, or this is no list of addresses.
    """
    if not urls:
        return None
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise AgentError("The stores of the request are not a list of addresses.")
    found: dict[str, None] = {}
    for url in urls:
        meant = names_meant([url])
        hits = [name for name in known if is_meant(name, meant)]
        if not hits:
            these = ", ".join(known[:10]) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
            raise AgentError(
                f"No {what} has the address {min(meant)}: " + (f"there is {these}." if known else "there is none.")
            )
        found.update(dict.fromkeys(hits))
    return tuple(found)


def resumed_stores(urls: object, pauses: Pauses) -> tuple[str, ...] | None:
    """The paused stores that the addresses mean; None without any.

    Raises:
        AgentError: as ``named_stores``, or single stores are named while everything is paused.
    """
    if urls and pauses.everything is not None:
        raise AgentError(
            "Everything is paused, not single stores: run `prestashop-agent resume` without --store, and then "
            "`prestashop-agent pause --store URL` for those that are to stay paused."
        )
    return named_stores(urls, tuple(pauses.stores), "paused store")


def shown_pauses(pauses: Pauses) -> dict[str, Any]:
    """As commands answer them, and as ``status`` has them; ``store`` is None for everything."""
    entries: tuple[tuple[str | None, Pause], ...] = tuple(pauses.stores.items())
    if pauses.everything is not None:
        entries = ((None, pauses.everything), *entries)
    return {
        "paused": [
            {"store": name, "since": pause.since, "until": pause.until, "reason": pause.reason}
            for name, pause in entries
        ]
    }


def _named(pauses: Pauses) -> tuple[tuple[str, Pause], ...]:
    everything = (("all", pauses.everything),) if pauses.everything is not None else ()
    return (*everything, *pauses.stores.items())
