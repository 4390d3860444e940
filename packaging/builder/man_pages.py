"""Man pages from the click commands: one for the program, one for each of its commands, one for the settings file."""

from __future__ import annotations

import datetime
import importlib
import re
import textwrap
from typing import Final

import click

from builder import roff
from builder.product import AGENT, ROOT, Product, epoch, version

_MANUAL: Final = "PrestaShop tunnels"
_EXIT_CODES: Final = (
    ("0", "Done."),
    ("1", "Failed; one sentence says what, and what to do."),
    ("2", "Wrong usage."),
    ("78", "Settings that cannot work; systemd does not start the service again."),
    ("130", "Ended by Ctrl\\-C."),
)
_FILES: Final = {
    "prestashop-agent": (
        ("/etc/prestashop-agent/agent.toml", "Settings, see \\fBprestashop\\-agent.toml\\fR(5)."),
        ("/etc/prestashop-agent/token", "The access token; only root may read it, systemd hands it to the service."),
        ("/var/lib/prestashop-agent", "What the agent keeps: the id of its instance."),
        ("/run/prestashop-agent", "The socket that \\fBprestashop\\-agent status\\fR asks."),
    ),
    "integration-server": (
        ("/etc/integration-server/server.toml", "Settings, see \\fBintegration\\-server.toml\\fR(5)."),
        ("/var/lib/integration-server", "Database, key ring and SSH host key."),
        ("/run/integration-server", "The socket that the commands ask."),
    ),
}
_VARIABLES: Final = {
    "prestashop-agent": (
        ("PRESTASHOP_AGENT_CONFIG", "The settings file."),
        ("PRESTASHOP_AGENT_...", "Each setting, see \\fBprestashop\\-agent.toml\\fR(5)."),
        ("NO_COLOR", "No colours on a terminal."),
    ),
    "integration-server": (
        ("INTEGRATION_SERVER_...", "Each setting, see \\fBintegration\\-server.toml\\fR(5)."),
        ("NO_COLOR", "No colours on a terminal."),
    ),
}


def pages(product: Product) -> dict[str, str]:
    """Every page of ``product`` in roff by its name with the section: ``prestashop-agent-run.1``."""
    program = importlib.import_module(product.module).cli
    context = _context(program, product.name)
    commands = {
        name: command
        for name in program.list_commands(context)
        if (command := program.get_command(context, name)) and not _left_out(command, product)
    }
    made = {f"{product.name}.1": _program_page(product, program, context, commands)}
    for name, command in commands.items():
        made[f"{product.name}-{name}.1"] = _command_page(product, name, command, context)
    made[f"{product.name}.toml.5"] = _settings_page(product)
    return made


def _left_out(command: click.Command, product: Product) -> bool:
    module = getattr(command.callback, "__module__", "").replace(".", "/") + ".py"
    return module.startswith(product.left_out)


def _program_page(
    product: Product, program: click.Group, context: click.Context, commands: dict[str, click.Command]
) -> str:
    description, sections = _words(program)
    summaries = [
        (f"{product.name}-{name}(1)", roff.escaped(command.get_short_help_str(200)))
        for name, command in commands.items()
    ]
    return "".join([
        _head(product.name, 1),
        roff.part("name", f"{roff.escaped(product.name)} \\- {roff.escaped(product.summary)}\n"),
        roff.part("synopsis", _usage(context, program)),
        roff.part("description", description),
        roff.part("options", _options(context, program)),
        roff.part("commands", roff.terms(summaries)),
        _sections(sections),
        roff.part("exit status", roff.terms(_EXIT_CODES)) if "exit status" not in sections else "",
        _places(product),
        roff.part("see also", _see_also([f"{product.name}-{name}(1)" for name in commands], product)),
    ])  # fmt: skip


def _command_page(product: Product, name: str, command: click.Command, above: click.Context) -> str:
    context = _context(command, name, above)
    description, sections = _words(command)
    below = _below(command, context) if isinstance(command, click.Group) else ""
    title = f"{product.name}-{name}"
    return "".join([
        _head(title, 1),
        roff.part("name", f"{roff.escaped(title)} \\- {roff.escaped(_first_line(command))}\n"),
        roff.part("synopsis", _usage(context, command)),
        roff.part("description", description),
        roff.part("options", _options(context, command)),
        roff.part("commands", below),
        _sections(sections),
        roff.part("exit status", roff.terms(_EXIT_CODES)) if "exit status" not in sections else "",
        _places(product),
        roff.part("see also", _see_also([f"{product.name}(1)"], product)),
    ])  # fmt: skip


def _below(group: click.Group, context: click.Context) -> str:
    """The commands of a group, one after the other, and those below them."""
    parts = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = _context(command, name, context)
        description, sections = _words(command)
        named = "".join(roff.paragraph(f"{title.capitalize()}:") + body for title, body in sections.items())
        parts.append(
            roff.lower_part(inner.command_path, _usage(inner, command), description, _options(inner, command), named)
        )
        if isinstance(command, click.Group):
            parts.append(_below(command, inner))
    return "".join(parts)


def _head(name: str, section: int) -> str:
    date = datetime.datetime.fromtimestamp(epoch(), datetime.UTC).date().isoformat()
    return roff.heading(name, section, date, f"{AGENT.name} {version()}", _MANUAL)


def _first_line(command: click.Command) -> str:
    line = command.get_short_help_str(200).rstrip(".")
    return line[:1].lower() + line[1:] if line[1:2].islower() else line


def _usage(context: click.Context, command: click.Command) -> str:
    pieces = " ".join(command.collect_usage_pieces(context))
    return f".PP\n\\fB{roff.escaped(context.command_path)}\\fR {roff.escaped(pieces)}\n"


def _context(command: click.Command, name: str, above: click.Context | None = None) -> click.Context:
    return click.Context(command, info_name=name, parent=above, **command.context_settings)


def _options(context: click.Context, command: click.Command) -> str:
    """Options with what they mean; an argument that says no more than its name is in the usage already."""
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    return roff.terms((names, roff.escaped(text)) for names, text in filter(None, records) if text)


def _words(command: click.Command) -> tuple[str, dict[str, str]]:
    """What the command says of itself: its description, and sections by title (examples, exit status)."""
    description, sections = "", {}
    title = ""
    for block in re.split(r"\n\s*\n", textwrap.dedent(f"{command.help or ''}\n\n{command.epilog or ''}")):
        is_verbatim, text = "\b" in block, block.replace("\b\n", "").replace("\b", "").strip("\n")
        if not text.strip():
            continue
        first, _, rest = text.partition("\n")
        if found := {"examples:": "examples", "example:": "examples", "exit codes:": "exit status"}.get(
            first.strip().lower()
        ):
            title, text = found, textwrap.dedent(rest)
            sections[title] = sections.get(title, "") + roff.verbatim(text)
        elif is_verbatim or text.startswith("  "):
            description += roff.verbatim(textwrap.dedent(text))
        else:
            description += roff.paragraph(roff.escaped(" ".join(text.split())))
    return description, sections


def _sections(sections: dict[str, str]) -> str:
    return "".join(roff.part(title, body) for title, body in sections.items())


def _places(product: Product) -> str:
    return roff.part("files", roff.terms(_FILES[product.name])) + roff.part(
        "environment", roff.terms(_VARIABLES[product.name])
    )


def _see_also(names: list[str], product: Product) -> str:
    everything = [*names, f"{product.name}.toml(5)"]
    shown = ", ".join(f"\\fB{roff.escaped(name[:-3])}\\fR{name[-3:]}" for name in everything)
    return f"{shown}\n.PP\nThe documentation in /usr/share/doc/{roff.escaped(product.name)}.\n"


def _settings_page(product: Product) -> str:
    """The page of the settings file, from the page in ``docs/`` that is made from the settings themselves."""
    source = "settings-agent.md" if product is AGENT else "settings-server.md"
    text = re.sub(r"<!--.*?-->\n", "", (ROOT / "docs" / source).read_text(encoding="utf-8"))
    _, introduction, *rest = re.split(r"^#+ .*\n", text, flags=re.MULTILINE)
    titles = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    file = f"/etc/{product.name}/{product.settings_file}"
    name = f"{product.name}.toml"
    parts = [
        _head(name, 5),
        roff.part("name", f"{roff.escaped(name)} \\- settings of {roff.escaped(product.name)}\n"),
        roff.part("synopsis", f"{roff.escaped(file)}\n"),
        roff.part("description", _markdown(introduction)),
    ]
    parts += [roff.part(title.strip("`"), _markdown(body)) for title, body in zip(titles, rest, strict=True)]
    return "".join([*parts, roff.part("see also", f"\\fB{roff.escaped(product.name)}\\fR(1)\n")])


def _markdown(text: str) -> str:
    made = []
    for block in re.split(r"\n\s*\n", text.strip()):
        if block.startswith("- **"):
            first, _, rest = block[2:].partition("\n")
            made.append(f".TP\n{roff.marked(first)}\n{roff.marked(' '.join(rest.split()))}\n")
        else:
            made.append(roff.paragraph(roff.marked(" ".join(block.split()))))
    return "".join(made)
