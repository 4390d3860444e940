"""What an agent opens of a store by its own settings, and where a connection asks for more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from agent.forward.gate import StorePaused
from agent.pause import Pause
from agent.policy import METHODS, Rule
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.presence import GRANTS_KEPT_MAX
from agent.server.operations.records import Agent
from agent.store_command import add_command, methods_option, opening_command
from agent.store_url import Store
from agent.tunnel.messages import Grant


@dataclass(frozen=True, slots=True)
class AgentOpening:
    """``rule`` is the agent's own for the store, None when it opens none of those that are meant.

    ``live``: a tunnel says so now; else it is what the agent said last. ``pause``: the shop's administrator holds
    everything back. ``warnings`` are sentences for people.
    """

    rule: Rule | None
    live: bool
    warnings: tuple[str, ...]
    pause: Pause | None = None


def agent_opening(
    plane: ControlPlane,
    agent: Agent,
    stores: Sequence[Store],
    methods: Collection[str],
    resources: Collection[str] | None = None,
) -> AgentOpening:
    """What ``agent`` opens of the first of ``stores`` that it opens; nobody is asked.

    ``methods`` and ``resources`` (None = every one) are what a connection wants.
    """
    tunnels = plane.registry.tunnels(agent.id) if plane.registry is not None else ()
    live = bool(tunnels)
    opened = [(rule, tunnel.paused.get(rule.store)) for tunnel in tunnels for rule in tunnel.rules]
    known = opened if live else _kept(agent)
    if known is None:
        sentence = f'What the agent "{agent.name}" opens is not known: it has not connected yet.'
        return AgentOpening(None, live, (sentence,))
    found = next((each for store in stores for each in known if each[0].store == store), None)
    if found is None:
        if not live and len(known) >= GRANTS_KEPT_MAX:  # what it said is not known whole
            return AgentOpening(None, live, ())
        return AgentOpening(None, live, (_closed(agent, stores, methods, live),))
    rule, pause = found
    if pause is not None and pause.is_over(plane.clock()):  # what an agent said last may be long ago
        pause = None
    warnings = _narrower(agent, rule, methods, resources)
    return AgentOpening(rule, live, (*_paused(pause), *warnings), pause)


def _paused(pause: Pause | None) -> tuple[str, ...]:
    return (f"{pause.sentence} {StorePaused.remedy}",) if pause is not None else ()


def _closed(agent: Agent, stores: Sequence[Store], methods: Collection[str], live: bool) -> str:
    said = f'The settings of the agent "{agent.name}"' + ("" if live else ", as it said last,")
    if len(stores) == 1:
        return f"{said} do not open {stores[0]}: run on its machine {opening_command(stores[0], methods)}."
    return f"{said} open none of these: run on its machine {add_command()}, with the address of the right one."


def _kept(agent: Agent) -> list[tuple[Rule, Pause | None]] | None:
    """What the agent said last; None when it said nothing yet, or something that is not understood any more."""
    if agent.grants is None:
        return None
    try:
        grants = [Grant.model_validate(grant) for grant in agent.grants]
    except ValidationError:
        return None
    return [(grant.to_rule(), grant.paused.pause if grant.paused is not None else None) for grant in grants]


def _narrower(agent: Agent, rule: Rule, methods: Collection[str], resources: Collection[str] | None) -> tuple[str, ...]:
    warnings = []
    refused = [method for method in METHODS if method in methods and method not in rule.methods]
    if refused:
        warnings.append(
            f'The agent "{agent.name}" refuses {", ".join(refused)} on this store: its settings open '
            f"{', '.join(method for method in METHODS if method in rule.methods)} only. To open them, run on its "
            f"machine {add_command(rule.store, methods_option(refused))}."
        )
    if rule.resources is not None:
        opened = ", ".join(sorted(rule.resources))
        if resources is None:
            warnings.append(f'The agent "{agent.name}" opens these resources of this store only: {opened}.')
        elif closed := sorted(set(resources) - rule.resources):
            options = " ".join(f"--resource {each}" for each in closed)
            warnings.append(
                f'The agent "{agent.name}" refuses {", ".join(closed)} on this store; it opens {opened}. To open them, '
                f"run on its machine {add_command(rule.store, options)}."
            )
    return tuple(warnings)
