"""Shows the demo as it happens: lively on a terminal, plain aligned lines elsewhere."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Final, TextIO

from rich.console import Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from agent.demo.actor import Actor, ActorState
from agent.demo.advice import Chapter
from agent.demo.look import Look, console_for, line_width
from agent.demo.picture import picture
from agent.demo.script import HOPS
from agent.demo.step import Step
from agent.demo.trail import Exchange

_SLOW_S: Final = 0.25  # a step that takes longer is shown while it runs
_DIM: Final = "bright_black"
_RESULT_COLUMN: Final = 54
_INDENT: Final = 8


class Show:
    """Everything that the demo says. ``close`` ends what is being animated."""

    def __init__(self, look: Look, stream: TextIO, errors: TextIO) -> None:
        self._look = look
        self._console = console_for(look, stream)
        self._errors = console_for(look, errors)
        self._width = line_width(self._console)
        self._actors: Sequence[Actor] = ()
        self._registered: list[Text] = []
        self._live: Live | None = None
        self._slow: asyncio.TimerHandle | None = None
        self._up_since = 0.0
        self._requests = 0

    # -- starting ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The first lines."""
        self._line(Text("prestashop-agent demo", style="bold"))
        self._line(Text("A sample store, an integration server and an agent, as three processes here.", style=_DIM))
        self._line()

    def setting_up(self, actors: Sequence[Actor]) -> None:
        """From now on the picture is shown, and kept up to date by ``actor_changed`` and ``registered``."""
        self._actors = actors
        if self._look.lively:
            self._animate(self._scene, transient=False)

    def actor_changed(self, actor: Actor) -> None:
        """A process has started, is up or has ended."""
        if self._live is not None:
            self._live.refresh()
        elif actor.state is ActorState.UP:
            facts = ", ".join(" ".join(fact.split()) for fact in actor.facts)
            self._line(
                Text(
                    f"  {self._look.done} {actor.title:<20} pid {actor.process.pid:<8} {facts:<36}"
                    f"{actor.ready_after_s:>5.1f} s"
                )
            )

    def registered(self, command: str, result: str) -> None:
        """A command of the server has done its work."""
        line = Text(f"  {self._look.done} ", style="green")
        line.append(command, style="")
        line.append(" " * max(2, _RESULT_COLUMN - line.cell_len) + result, style=_DIM)
        self._registered.append(line)
        if self._live is not None:
            self._live.refresh()
        else:
            self._line(line)

    def set_up(self) -> None:
        """All is up: the picture stays as it is."""
        self.close()
        self._line()

    def _scene(self) -> RenderableType:
        return Group(picture(self._actors, self._look, self._width), Text(), *self._registered)

    # -- steps -------------------------------------------------------------------------------------------------------

    def steps_begin(self) -> None:
        """The heading of the table of steps."""
        self._sides(
            Text("Through gateway and tunnel", style="bold"), Text(f"{'status':>6}{'size':>11}{'time':>11}", style=_DIM)
        )

    def step_begins(self, title: str, sent: str) -> None:
        """A step has begun; it is shown only if it takes a while."""
        if self._look.lively:
            self._slow = asyncio.get_running_loop().call_later(_SLOW_S, self._show_slow, title, sent)

    def step_done(self, step: Step) -> None:
        """A step went well."""
        self.close()
        left = Text(f"  {self._look.done} ", style="green")
        left.append(f"{step.number:>2}  ", style=_DIM)
        left.append(step.title, style="default")
        right = self._figures(step.status, step.size_bytes, step.elapsed_ms, refused=bool(step.refused))
        beside = left.cell_len + len(step.finding) + right.cell_len + 4 <= self._width
        if step.finding and beside:
            left.append(f": {step.finding}", style="cyan")
        self._sides(left, right)
        self._sides(Text(" " * _INDENT + step.sent, style=_DIM), self._way(step.hops, step.refused))
        if step.finding and not beside:
            self._line(Text(" " * _INDENT + step.finding, style="cyan"))
        for label, value, remark in step.notes:
            note = Text(f"{'':{_INDENT}}{label:<12}", style=_DIM)
            note.append(value, style="bold cyan")
            note.append(f"  {remark}" if remark else "", style="green")
            self._line(note)

    def _show_slow(self, title: str, sent: str) -> None:
        self._animate(lambda: Spinner("line", text=Text(f" {title}: {sent}", style=_DIM)), transient=True)

    # -- being up ----------------------------------------------------------------------------------------------------

    def conclusion(self, text: str) -> None:
        """What the steps have shown."""
        self._line()
        self._line(Text(text))

    def advise(self, chapters: Sequence[Chapter]) -> None:
        """What to try next; the commands are never broken into lines, so that they can be copied."""
        for chapter in chapters:
            self._line()
            self._line(Text(chapter.heading, style="bold"))
            for what, parts in chapter.lines:
                self._command(Text(f"  {what}", style=_DIM), chapter.label_width + 4, parts)
        self._line()

    def stay(self) -> None:
        """The demo is up until it is told to end."""
        self._up_since = time.monotonic()
        if self._look.lively:
            self._animate(self._status_line, transient=True)
        else:
            self._line(Text("The demo stays up until Ctrl-C."))

    def exchange(self, exchange: Exchange) -> None:
        """Somebody has sent a request while the demo is up."""
        self._requests += 1
        left = Text(f"  {time.strftime('%H:%M:%S')}  ", style=_DIM)
        left.append(f"{exchange.method} {exchange.target}", style="default")
        refused = bool(exchange.error)
        self._sides(left, self._figures(exchange.status, exchange.size_bytes, exchange.elapsed_ms, refused=refused))
        self._sides(Text(), self._way(HOPS.get(exchange.answered_by, ("gateway",)), exchange.error))

    def _status_line(self) -> RenderableType:
        seconds = int(time.monotonic() - self._up_since)
        text = Text(f"\n{self._look.dot} ", style="green")
        text.append(f"up {seconds // 60}:{seconds % 60:02d}", style="bold")
        text.append(f"   {self._requests} requests of yours   Ctrl-C ends the demo", style=_DIM)
        return text

    # -- ending ------------------------------------------------------------------------------------------------------

    def log_ends(self, log_ends: Mapping[str, str]) -> None:
        """The last lines of logs, before the sentence on what went wrong."""
        self.close()
        for name, text in log_ends.items():
            if text:
                self._errors.print(Text(f"\nlast lines of the log of the {name}:", style=_DIM))
                for line in text.splitlines():
                    self._errors.print(Text(f"  {line}"), no_wrap=True, overflow="ellipsis", crop=True)

    def ended(self, text: str) -> None:
        """The last line."""
        self.close()
        self._line()
        self._line(Text(text))

    def close(self) -> None:
        """Stop what is being animated."""
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    # -- lines -------------------------------------------------------------------------------------------------------

    def _animate(self, scene: object, *, transient: bool) -> None:
        self._live = Live(
            console=self._console,
            get_renderable=scene,  # type: ignore[arg-type]  # any callable that gives something to draw
            transient=transient,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)

    def _line(self, text: Text | None = None) -> None:
        self._console.print(text if text is not None else "", soft_wrap=True)

    def _sides(self, left: Text, right: Text) -> None:
        """One line with text at both edges; two lines where they do not fit."""
        gap = self._width - left.cell_len - right.cell_len
        if right.cell_len and gap < 2:
            self._line(left)
            left, gap = Text(), self._width - right.cell_len
        self._line(Text.assemble(left, " " * max(0, gap), right) if right.cell_len else left)

    @staticmethod
    def _figures(status: int, size_bytes: int, elapsed_ms: float, *, refused: bool) -> Text:
        if not status:
            return Text()
        text = Text(f"{status:>4}", style="yellow" if refused else "green")
        return text.append(f"{size_bytes:>11,} B{elapsed_ms:>8.1f} ms", style="default")

    def _way(self, hops: Sequence[str], refused: str) -> Text:
        """The hops, and who refused with what."""
        text = Text(self._look.hop.join(hops), style=_DIM)
        return text.append(f"{self._look.stop} {refused}", style="yellow") if refused else text

    def _command(self, label: Text, column: int, parts: Sequence[str]) -> None:
        """A command beside its label, or below it, or in several lines that a shell joins."""
        room = self._console.width if self._look.lively else sys.maxsize
        whole = " ".join(parts)
        if column + len(whole) <= min(room, self._width):
            self._line(label.append(" " * (column - label.cell_len)).append(whole, style="cyan"))
            return
        self._line(label)
        lines = [whole] if 4 + len(whole) <= room else [f"{part} \\" for part in parts[:-1]] + [parts[-1]]
        for line in lines:
            self._line(Text(" " * 4 + line, style="cyan"))
