"""What an address that a person pasted means, at once and without asking anybody."""

from __future__ import annotations

from dataclasses import dataclass

from agent.server.operations.connection_changes import taken_slugs
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.slugs import free_slug
from agent.server.operations.store_choice import read_candidates
from agent.store_url import left_out_of


@dataclass(frozen=True, slots=True)
class StorePreview:
    """The readings of an address, likeliest first, and where the gateway would put a connection of that name.

    ``left_out`` says in words what of the address is not kept; names of well-known parameters at most, never values.
    """

    shop_urls: tuple[str, ...]
    webservice_urls: tuple[str, ...]
    left_out: tuple[str, ...]
    slug: str
    gateway_url: str


async def preview_store(
    plane: ControlPlane, store_url: str, *, name: str = "", id_shop: str = "", virtual_uri: str = ""
) -> StorePreview:
    """Raises InvalidError for what is no address of a shop; nothing of it is repeated, since it may hold a token."""
    found = read_candidates(store_url, virtual_uri=virtual_uri, id_shop=id_shop)
    slug, base = await preview_slug(plane, name)
    return StorePreview(
        shop_urls=tuple(f"{store.origin}{store.shop_path}" for store in found),
        webservice_urls=tuple(store.webservice_url for store in found),
        left_out=left_out_of(store_url, found[0]),
        slug=slug,
        gateway_url=f"{base}/{slug}" if slug else base,
    )


async def preview_slug(plane: ControlPlane, name: str) -> tuple[str, str]:
    """The slug that a connection of this name would get now ("" without one), and the gateway's address."""
    base = await plane.gateway_url()
    if not name.strip():
        return "", base
    async with plane.read() as connection:
        return free_slug(name, await taken_slugs(connection)), base
