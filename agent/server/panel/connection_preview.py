"""What an address that is typed into the form of a connection means, and what the chosen agent says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.server.operations.agent_opening import agent_opening
from agent.server.operations.agents import get_agent
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import InvalidError, NotFoundError
from agent.server.operations.store_choice import read_candidates
from agent.server.operations.store_preview import preview_store


async def previewed(plane: ControlPlane, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of ``connections/preview.html`` for the fields of the form; nobody is asked."""
    found: dict[str, Any] = {"preview": None, "failure": "", "warnings": ()}
    if not values["store_url"]:
        return found
    shop = {"id_shop": values["id_shop"], "virtual_uri": values["virtual_uri"]}
    try:
        found["preview"] = await preview_store(plane, values["store_url"], **shop)
        if values["mode"] == "on-premise" and values["agent"]:
            stores = read_candidates(values["store_url"], **shop)
            resources = values["resources"].replace(",", " ").split() or None
            agent = await get_agent(plane, values["agent"])
            found["warnings"] = agent_opening(plane, agent, stores, values["methods"], resources).warnings
    except InvalidError as error:
        found["failure"] = str(error)
    except NotFoundError:  # the agent was deleted meanwhile: saving says so
        pass
    return found
