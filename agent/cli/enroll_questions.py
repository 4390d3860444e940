"""What ``prestashop-agent enroll`` asks a person, and what it takes for an answer where nobody can be asked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from agent.enrolment.store_plan import StoreWish
from agent.enrolment.token_place import TokenPlace
from agent.errors import SettingsError, StartError, TokenError
from agent.private_file import PRIVATE_FILE_MAX_BYTES
from agent.store_url import read_store_url
from agent.tunnel.token import AccessToken, parse_token, read_token_file

_TRIES: Final = 3
_ADDRESS: Final = "Address of the shop, of its back office or of its webservice (Enter: none now)"


class Questions:
    """Asks on stderr at a terminal; with ``yes`` nothing is asked, and everything that may be done is."""

    def __init__(self, *, yes: bool) -> None:
        self._yes = yes
        self.can_ask = sys.stdin.isatty() and not yes

    def token(self, there: TokenPlace, file: Path | None, *, from_stdin: bool) -> AccessToken:
        """The token that is meant: of a file, of standard input, of a person, or the one that is there.

        Raises:
            TokenError: it cannot be used, or none was given.
        """
        if file is not None:
            return read_token_file(file)
        if from_stdin or not sys.stdin.isatty():
            raw = sys.stdin.buffer.read(PRIVATE_FILE_MAX_BYTES)
            if raw.strip():
                return parse_token(raw.decode("utf-8", "replace"))
        elif not self._yes:
            return self._asked_token(there)
        if there.before is not None and not from_stdin:
            return there.before
        raise TokenError(
            "No access token was given: paste it at the prompt, name a file with --token-file, or send it to standard "
            "input with --token-stdin; integration-server agents create NAME prints one."
        )

    def may_replace(self, there: TokenPlace, token: AccessToken) -> None:
        """Raises StartError when the token that is there is to stay."""
        held = f"the token of agent {there.before.agent_id}" if there.before else "something that is no usable token"
        if self._yes:
            return
        if self.can_ask:
            question = f"{there.path} holds {held}. Replace it by the one of agent {token.agent_id}?"
            if click.confirm(question, default=False, err=True):
                return
            raise StartError(f"{there.path} holds {held}, and stays as it is: nothing was changed.")
        raise StartError(f"{there.path} holds {held}: nothing was changed; to replace it, add --yes.")

    def stores(self, described: StoreWish) -> list[StoreWish]:
        """Stores to open; ``described`` says what was given of them on the command line."""
        found: list[StoreWish] = []
        while self.can_ask:
            url = self._answered(_ADDRESS if not found else "Another one (Enter: no)", _readable)
            if not url:
                break
            wish = replace(described, url=url)
            if wish.methods is None and click.confirm("May integrations write to it, too?", default=False, err=True):
                wish = replace(wish, methods="write")
            found.append(wish)
        return found

    def enable(self, unit: str, *, is_well: bool) -> bool:
        """Is the service to be started, now and with the machine?"""
        if self.can_ask:
            return click.confirm(f"Start {unit} now, and with this machine?", default=is_well, err=True)
        return self._yes

    def _asked_token(self, there: TokenPlace) -> AccessToken:
        before = there.before
        keep = f" (Enter keeps the one of agent {before.agent_id})" if before is not None else ""

        def read(text: str) -> AccessToken:
            return before if before is not None and not text else parse_token(text)

        for left in reversed(range(_TRIES)):
            text = click.prompt(
                f"Access token{keep}; it is not shown", default="", hide_input=True, show_default=False, err=True
            )
            try:
                return read(text.strip())
            except TokenError as error:
                if not left:
                    raise
                click.echo(str(error), err=True)
        raise AssertionError  # the last try returns or raises

    @staticmethod
    def _answered(question: str, check: Callable[[str], None]) -> str:
        """The answer to a question, asked again until it can be read or is empty."""
        while True:
            text = str(click.prompt(question, default="", show_default=False, err=True)).strip()
            try:
                if text:
                    check(text)
            except SettingsError as error:
                click.echo(str(error), err=True)
            else:
                return text


def _readable(url: str) -> None:
    read_store_url(url)
