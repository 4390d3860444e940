"""The picture of the three processes and what joins them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agent.demo.actor import Actor, ActorState
from agent.demo.look import Look

_STYLES: Final = {
    ActorState.WAITING: ("bright_black", "bright_black"),
    ActorState.STARTING: ("yellow", "yellow"),
    ActorState.UP: ("green", "bright_black"),
    ActorState.ENDED: ("red", "red"),
}
_PANEL_WIDTHS: Final = (22, 17, 20)
_WIDE_FROM: Final = 92
_MARGIN: Final = 2


def picture(actors: Sequence[Actor], look: Look, width: int) -> RenderableType:
    """Server, agent and store side by side; ``actors`` in this order."""
    extra = 3 if width >= _WIDE_FROM else 0
    panels = [each + extra for each in _PANEL_WIDTHS]
    joint = min((width - 2 * _MARGIN - sum(panels)) // 2, 14)
    server, agent, store = actors
    table = Table.grid(padding=0)
    for each in (_MARGIN, panels[0], joint, panels[1], joint, panels[2]):
        table.add_column(width=each, no_wrap=True)
    shop = Text("in the shop's network", style="bright_black")
    table.add_row(
        "",
        _panel(server, look, panels[0]),
        _joint("◀", "═", "SSH", "", joint, up=agent.state is ActorState.UP),
        _panel(agent, look, panels[1]),
        _joint("", "─", "HTTP", "▶", joint, up=_all_up(agent, store)),
        _panel(store, look, panels[2]),
    )
    captions = Text(" " * (_MARGIN + 2) + "in the cloud", style="bright_black")
    captions.append(" " * (_MARGIN + panels[0] + joint + 2 - captions.cell_len))
    captions.append_text(shop)
    return Group(captions, table)


def _all_up(*actors: Actor) -> bool:
    return all(actor.state is ActorState.UP for actor in actors)


def _panel(actor: Actor, look: Look, width: int) -> Panel:
    dot_style, border = _STYLES[actor.state]
    state = Text(look.idle_dot if actor.state is ActorState.WAITING else look.dot, style=dot_style)
    up = actor.state is ActorState.UP
    state.append(f" pid {actor.process.pid}" if up else f" {actor.state.value}", style="bright_black" if up else "")
    title = Text(actor.title, style="bold" if up else "")
    facts = [Text(fact) for fact in (*actor.facts, "", "")[:2]]
    return Panel(Group(title, *facts, state), box=box.ROUNDED, border_style=border, width=width, padding=(0, 1))


def _joint(left: str, line: str, label: str, right: str, width: int, *, up: bool) -> Text:
    """A line of ``width`` at the height of the first fact."""
    if not up:
        return Text("\n\n" + "·".center(3).center(width), style="bright_black")
    rest = width - len(left) - len(right) - len(label) - 2
    before = rest // 2
    text = f"{left}{line * before} {label} {line * (rest - before)}{right}"
    return Text(f"\n\n{text}", style="green")
