"""A connection test in a terminal: a line for each layer, and what the key may do."""

from __future__ import annotations

from typing import Any, Final

import click

from agent.policy import METHODS

_MARKS: Final = {"ok": "ok", "warning": "warn", "failed": "FAIL", "skipped": "-"}
_COLORS: Final = {"ok": "green", "warning": "yellow", "failed": "red"}


def show_report(report: dict[str, Any], title: str) -> None:
    """Print it; the permission table only when all is well."""
    click.echo(_heading(report, title))
    for step in report["steps"]:
        show_step(step)
    _show_end(report)


def show_step(step: dict[str, Any]) -> None:
    """One layer, and what to do about it."""
    time = f"{step['elapsed_ms']:.0f} ms" if step["elapsed_ms"] else ""
    said = click.style(f"{_MARKS[step['state']]:<5}", fg=_COLORS.get(step["state"]))
    click.echo(f"  {said} {step['layer']:<12} {time:>8}  {_plain(step['finding'])}")
    if step["remedy"]:
        click.echo(f"        What to do: {_plain(step['remedy'])}")


def show_outcome(report: dict[str, Any], title: str) -> None:
    """What is left to say when the steps were shown as they came."""
    click.echo(_heading(report, title))
    _show_end(report)


def _heading(report: dict[str, Any], title: str) -> str:
    mark = "ok" if report["ok"] else f"FAILED ({report['verdict']})"
    return f"{title}: {mark}, {report['elapsed_ms']:.0f} ms"


def _show_end(report: dict[str, Any]) -> None:
    if report["ok"]:
        click.echo(f"  {_plain(report['finding'])}")
    if report["permissions"]:
        _show_permissions(report["permissions"])


def _show_permissions(permissions: dict[str, list[str]]) -> None:
    opened = {name: methods for name, methods in permissions.items() if methods}
    width = max(map(len, opened), default=8)
    click.echo(f"\n  {'RESOURCE':<{width}}  {'  '.join(METHODS)}")
    for name, methods in opened.items():
        cells = "  ".join(("yes" if method in methods else "-").ljust(len(method)) for method in METHODS)
        click.echo(f"  {_plain(name):<{width}}  {cells}".rstrip())


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)
