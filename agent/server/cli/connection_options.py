"""The options of a connection on the command line, and what the API is told of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import click

from agent.policy import METHODS
from agent.server.cli.secret_input import read_secret, read_text

F = TypeVar("F", bound=Callable[..., Any])

_TO_DROP: Final = ' "" drops it.'
_ALL: Final = "all"  # no resource of PrestaShop has that name

api_key_option = click.option("--api-key-file", metavar="FILE", help="File with the webservice key; - for stdin.")


def connection_options(*, new: bool, saved: bool = True) -> Callable[[F], F]:
    """The options of a connection: with defaults for a new one, without for one that is edited.

    One that is not saved needs no name.
    """

    def default(value: object) -> Any:  # noqa: ANN401 - as click takes it
        return value if new else None

    def droppable(text: str) -> str:
        return text if new else text + _TO_DROP

    name_help = "Clear and distinguishable; the gateway path is derived from it." if new else "The slug stays."
    options = [
        *([click.option("--name", required=new, help=name_help)] if saved else []),
        click.option(
            "--mode",
            type=click.Choice(["cloud", "on-premise"]),
            required=new,
            help="cloud: this server reaches the store; on-premise: an agent does.",
        ),
        click.option("--agent", metavar="NAME|ID", help="The agent, for on-premise."),
        click.option(
            "--store-url", required=new, metavar="URL", help="Shop or back-office URL as seen in the browser."
        ),
        api_key_option,
        click.option(
            "--key-in",
            type=click.Choice(["basic", "ws_key"]),
            default=default("basic"),
            show_default=True,
            help="How the key is sent; ws_key for hosts that lose the Authorization header.",
        ),
        click.option("--read-only/--read-write", default=None, help="Allow GET and HEAD only, or all six methods."),
        click.option(
            "--methods", metavar="LIST", help="Allowed methods by commas." + (" Default: all six." if new else "")
        ),
        click.option(
            "--resources",
            metavar="LIST",
            help="Allowed resources by commas, or all." + (" Default: all." if new else ""),
        ),
        click.option(
            "--concurrency",
            type=int,
            default=default(8),
            show_default=True,
            help="Requests at the store at once, 1 to 100.",
        ),
        click.option(
            "--response-timeout",
            metavar="SECONDS",
            help=droppable("How long the store may be silent, 1 to 600; else as the settings of the server say."),
        ),
        click.option("--id-shop", metavar="N", help=droppable("Shop number of a multistore.")),
        click.option("--virtual-uri", metavar="FOLDER", help=droppable("Virtual folder of a multistore.")),
        click.option(
            "--shop-host",
            metavar="HOST",
            help=droppable("The shop's own domain, where it differs from the URL; for cloud."),
        ),
        click.option(
            "--header",
            "headers",
            multiple=True,
            metavar="'NAME: VALUE'",
            help="Goes with every request, may be repeated, and is shown with the connection."
            + ("" if new else ' Replaces all there are; "" drops them.'),
        ),
        click.option("--headers-file", metavar="FILE", help="The same from a file, a header a line; - for stdin."),
        click.option(
            "--test-path", metavar="PATH", help="What a test asks for beside /api/, such as /api/products?limit=1."
        ),
        click.option("--test-method", type=click.Choice(["GET", "HEAD"]), help="How it is asked for. GET unless set."),
        click.option(
            "--ca-file",
            metavar="FILE",
            help=droppable("PEM file of a private CA of the store; for cloud."),
        ),
        click.option(
            "--verify-tls/--no-verify-tls",
            default=None,
            help="Check the store's certificate, or take any: then anyone on the way reads the API key. For cloud.",
        ),
    ]
    return lambda command: functools.reduce(lambda done, option: option(done), reversed(options), command)


def connection_body(
    *,
    api_key_file: str | None,
    read_only: bool | None,
    methods: str | None,
    resources: str | None,
    headers: tuple[str, ...],
    headers_file: str | None,
    response_timeout: str | None,
    ca_file: str | None,
    **given: object,
) -> dict[str, object]:
    """What was given, as the API takes it; the key is read last, when the rest of the command line is right.

    Raises click.UsageError, and StartError for files that cannot be used.
    """
    if read_only is not None and methods is not None:
        raise click.UsageError("--methods says what is allowed by itself: leave out --read-only and --read-write.")
    if headers_file == api_key_file == "-":
        raise click.UsageError("Standard input can hold the API key or the headers: give one of them as a file.")
    body = {name: value for name, value in given.items() if value is not None}
    if read_only is not None or methods is not None:
        body["methods"] = (["GET", "HEAD"] if read_only else list(METHODS)) if methods is None else split_list(methods)
    if resources is not None:
        body["resources"] = None if resources.strip() == _ALL else split_list(resources)
    if response_timeout is not None:
        body["response_timeout_s"] = _seconds(response_timeout)
    if ca_file is not None:
        body["ca_pem"] = read_text("CA", ca_file) if ca_file else None
    if headers or headers_file is not None:
        lines = read_text("list of headers", headers_file).splitlines() if headers_file else []
        body["headers"] = _headers((*headers, *lines))
    return body | {"api_key": read_api_key(api_key_file)}


def split_list(text: str | None) -> list[str] | None:
    """``a,b`` -> [a, b]; None stays None."""
    return [part.strip() for part in text.split(",") if part.strip()] if text is not None else None


def read_api_key(file: str | None) -> str:
    """The API key of a file, of standard input (``-``) or, at a terminal, as it is typed.

    A warning is printed when others can read the file. Raises StartError.
    """
    return read_secret(
        file,
        what="API key",
        option="--api-key-file",
        remedy="put the webservice key",
        prompt="API key (webservice key of the shop)",
    )


def _seconds(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise click.BadParameter("write a number of seconds, such as 30.", param_hint="--response-timeout") from None


def _headers(lines: Iterable[str]) -> list[dict[str, str]]:
    """``Name: value`` lines; what is blank is left out. A line that is none is not repeated: it may hold a secret."""
    found: list[dict[str, str]] = []
    for line in lines:
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not (name.strip() and colon and value.strip()):
            raise click.BadParameter(
                f"write header {len(found) + 1} as 'Name: value'.", param_hint="--header or --headers-file"
            )
        found.append({"name": name.strip(), "value": value.strip()})
    return found
