"""``prestashop-agent status --watch``: asks again and again, and shows it until Ctrl-C."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import click

from agent.cli.status_codes import NotRunningError, UnknownStateError
from agent.cli.status_page import status_page
from agent.cli.watch_rates import Rates
from agent.errors import AgentError

Ask = Callable[[], Mapping[str, Any]]
"""The report of the running agent; an ``AgentError`` when there is none now, which is no reason to stop."""


def watch_json(ask: Ask, every_s: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """One line of JSON each time, until Ctrl-C."""

    def line() -> str:
        try:
            return json.dumps(ask(), ensure_ascii=False)
        except AgentError as error:
            return json.dumps({"state": _state(error), "error": str(error)}, ensure_ascii=False)

    _until_stopped(lambda: click.echo(line()), every_s, sleep)


def watch_pages(ask: Ask, every_s: float, width: int, sleep: Callable[[float], None] = time.sleep) -> None:
    """One page each time, without escape codes, for what is no terminal; until Ctrl-C."""

    def page() -> None:
        now = time.time()
        click.echo(time.strftime("-- %Y-%m-%d %H:%M:%S %z", time.localtime(now)))
        try:
            lines = list(status_page(ask(), width=width, now=now))
        except AgentError as error:
            lines = [f"prestashop-agent {_headline(error)}", str(error)]
        for line in lines:
            click.echo(line, color=False)
        click.echo()
        sys.stdout.flush()

    _until_stopped(page, every_s, sleep)


def watch_live(ask: Ask, every_s: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """The whole screen of a terminal, which is as it was before after Ctrl-C."""
    from rich.console import Console
    from rich.live import Live

    from agent.cli.watch_page import WatchPage

    rates = Rates()

    def page() -> WatchPage:
        try:
            report = ask()
            if "last_exchanges" not in report:
                raise UnknownStateError(f"The running agent is of an older version ({report['version']}): restart it.")
        except AgentError as error:
            return WatchPage(None, rates, now=time.time(), trouble=(_headline(error), str(error)))
        rates.take(report)
        return WatchPage(report, rates, now=time.time())

    try:
        with Live(page(), console=Console(), screen=True, auto_refresh=False) as live:
            _until_stopped(lambda: live.update(page(), refresh=True), every_s, sleep)
    except KeyboardInterrupt:
        pass  # between the lines above


def can_be_live(stream: TextIO, term: str) -> bool:
    """True on a terminal that can move its cursor."""
    return stream.isatty() and term not in {"", "dumb", "unknown"}


def _state(error: AgentError) -> str:
    """What JSON calls it; one that is too busy to answer refuses, and has no state."""
    return error.state if isinstance(error, NotRunningError | UnknownStateError) else UnknownStateError.state


def _headline(error: AgentError) -> str:
    is_absent = isinstance(error, NotRunningError)
    return "is not running: waiting for it" if is_absent else "cannot be asked: trying again"


def _until_stopped(show: Callable[[], None], every_s: float, sleep: Callable[[float], None]) -> None:
    try:
        while True:
            show()
            sleep(every_s)
    except KeyboardInterrupt:
        pass
