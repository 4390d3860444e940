"""Writing roff, the language of man pages: the few things that ours consist of."""

from __future__ import annotations

import re
from collections.abc import Iterable


def escaped(text: str) -> str:
    """``text`` so that nothing in it is an order to roff; a hyphen stays the one that can be typed."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("^", "\\(ha").replace("~", "\\(ti")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in plain.split("\n"))


def marked(text: str) -> str:
    """``text`` with Markdown's `code`, **strong** and [links](to) as man pages show them: bold, bold, the words."""
    words = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    return re.sub(r"\*\*`?(.+?)`?\*\*|`([^`]+)`", r"\\fB\1\2\\fR", escaped(words))


def heading(name: str, section: int, date: str, source: str, manual: str) -> str:
    """The title line; ``date`` as ISO 8601."""
    title = f'.TH {escaped(name.upper())} {section} {date} "{escaped(source)}" "{escaped(manual)}"\n'
    return title + ".ad l\n.nh\n"  # ragged, and no word cut: most words here are options, paths and names


def part(title: str, *body: str) -> str:
    """A section with what is in it; nothing at all when nothing is."""
    text = "".join(body).removeprefix(".PP\n")  # the heading has made the space already
    return f'.SH "{escaped(title.upper())}"\n{text}' if text else ""


def lower_part(title: str, *body: str) -> str:
    """A section within a section."""
    return f'.SS "{escaped(title)}"\n' + "".join(body).removeprefix(".PP\n")


def paragraph(text: str) -> str:
    """Words that are filled."""
    return f".PP\n{text}\n"


def verbatim(text: str) -> str:
    """Lines as they are: examples."""
    return f".PP\n.nf\n.RS 4\n{escaped(text)}\n.RE\n.fi\n"


def terms(rows: Iterable[tuple[str, str]]) -> str:
    """What is explained, in bold, and below it the explanation; the latter is roff already."""
    return "".join(f".TP\n\\fB{escaped(term)}\\fR\n{text}\n" for term, text in rows)
