"""``prestashop-agent demo``: the whole product at work on this machine."""

from __future__ import annotations

import click


@click.command(
    epilog="""\b
Examples:
  prestashop-agent demo
  prestashop-agent demo --once --plain

Nothing outside of a temporary directory is touched, and it is removed at the end; only loopback ports are used.
Exit codes: 0 all went well, 1 something did not, 130 interrupted before all was up.
"""
)
@click.option("--once", is_flag=True, help="Leave after the transcript instead of staying up.")
@click.option("--plain", is_flag=True, help="Plain lines, as when the output is not a terminal.")
@click.option("--keep", is_flag=True, help="Leave the directory with logs and database.")
def demo(once: bool, plain: bool, keep: bool) -> int:
    """Start a sample store, an integration server and an agent here, and send requests through the tunnel.

    Stays up until Ctrl-C, with commands to try.
    """
    from agent.demo.play import Options, play_demo

    return play_demo(Options(once=once, plain=plain, keep=keep))
