"""README and docs/: every link leads somewhere, and the programs know every command line that is quoted."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from agent.cli.main import cli as agent_cli
from agent.server.cli.main import cli as server_cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PROGRAMS: dict[str, click.Command] = {"prestashop-agent": agent_cli, "integration-server": server_cli}

_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
# A line that begins with a program's name; in what a program prints, its version follows the name.
_COMMAND = re.compile(r"(?:\$ |cmd: )?(?:sudo )?((?:prestashop-agent|integration-server) (?!\d).+)")
_NOT_WORDS = re.compile(r"[\[\]]|\.\.\.")


def _named(path: Path) -> str:
    return path.name


@cache
def _anchors(page: Path) -> frozenset[str]:
    """The names of the headings, as GitHub makes them."""
    found: list[str] = []
    for heading in _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        name = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        seen = sum(1 for one in found if re.fullmatch(re.escape(name) + r"(-\d+)?", one))
        found.append(f"{name}-{seen}" if seen and name in found else name)
    return frozenset(found)


def _links(page: Path) -> Iterator[str]:
    text = _INLINE.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))
    for link, picture in _LINK.findall(text):
        yield link or picture


def _broken(page: Path, link: str) -> bool:
    """A link to a place that is not there; addresses of other sites are not looked at."""
    if re.match(r"https?://|mailto:", link):
        return False
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.is_relative_to(ROOT) or not target.exists():
        return True
    return bool(anchor) and (target.suffix != ".md" or anchor not in _anchors(target))


def _quoted(page: Path) -> Iterator[tuple[str, bool]]:
    """Command lines, and whether each is a whole one; those in the text may leave arguments out."""
    text = page.read_text(encoding="utf-8")
    for _, block in _FENCE.findall(text):
        for line in re.sub(r" *\\\n *", " ", block).splitlines():
            found = _COMMAND.match(line.strip())
            if found:
                yield found[1], True
    for code in _INLINE.findall(_FENCE.sub("", text)):
        found = _COMMAND.fullmatch(" ".join(code.split()))
        if found:
            yield _NOT_WORDS.sub("", found[1]), False


def _words(line: str) -> list[str]:
    """The words of the first command in a line of shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|<>&;")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if set(word) <= set("|<>&;"):
            break
        words.append(word)
    return words


def _wrong(line: str, *, is_whole: bool) -> str | None:
    """What is wrong with a command line, by click's own parser; nothing is run. None: it is right."""
    program, *words = _words(line)
    command = PROGRAMS[program]
    context = click.Context(command, info_name=program)
    try:
        while True:
            values, rest, _ = command.make_parser(context).parse_args(list(words))
            _check_values(command, context, values, is_whole=is_whole)
            if not isinstance(command, click.Group):
                return f"{' '.join(rest)} is too much" if rest else None
            if not rest:
                return "a command is missing" if is_whole and not values.get("help") else None
            found = command.get_command(context, rest[0])
            if found is None:
                return f"there is no command {rest[0]}"
            context = click.Context(found, info_name=rest[0], parent=context)
            command, words = found, rest[1:]
    except click.ClickException as error:
        return error.format_message()


def _check_values(command: click.Command, context: click.Context, values: dict[str, object], *, is_whole: bool) -> None:
    for param in command.params:
        value = values.get(param.name or "")
        if isinstance(param, click.Argument) and param.required and is_whole and param.value_is_missing(value):
            raise click.MissingParameter(ctx=context, param=param)
        # What is in capitals stands for a value.
        if isinstance(param.type, click.Choice) and isinstance(value, str) and value.islower():
            param.type.convert(value, param, context)


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [link for link in _links(page) if _broken(page, link)] == []


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_command_line_is_one_that_the_programs_know(page: Path) -> None:
    wrong = {line: said for line, whole in _quoted(page) if (said := _wrong(line, is_whole=whole))}
    assert wrong == {}


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs/README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in _links(index)}
    assert [page.name for page in PAGES[1:] if page != index and page not in linked] == [], "put it into the index"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("prestashop-agent enrol", "no command enrol"),
        ("prestashop-agent status --jsn", "--jsn"),
        ("prestashop-agent stores add", "URL"),
        ("prestashop-agent reload now", "too much"),
        ("integration-server agents create", "NAME"),
        ("integration-server connections create --mode onpremise", "onpremise"),
    ],
)
def test_a_wrong_command_line_is_seen(line: str, said: str) -> None:
    assert said in (_wrong(line, is_whole=True) or "")


def test_a_broken_link_is_seen() -> None:
    page = ROOT / "docs/errors.md"
    links = (
        "#no_such_error",
        "no-such-page.md",
        "settings-agent.md#no-such-table",
        "../../elsewhere",
        "#agent_offline",
    )
    assert [_broken(page, link) for link in links] == [True, True, True, True, False]
