"""Pictures of the pages, at desktop and phone width, light and dark, in a folder where they can be looked at."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.kit.browser import DESKTOP, PHONE

FOLDER = Path(os.environ.get("PANEL_SCREENSHOTS") or "out/screenshots")


async def shoot(page: Any, name: str) -> None:
    """Both widths in light, desktop in dark; every page must fit the width of a phone."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for size, where in ((DESKTOP, "desktop"), (PHONE, "phone")):
        await page.set_viewport_size(size)
        await page.screenshot(path=FOLDER / f"{name}-{where}.png", full_page=True)
        too_wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert too_wide <= 0, f"{name} is {too_wide} pixels wider than a screen of {size['width']}"
    await page.set_viewport_size(DESKTOP)
    await page.emulate_media(color_scheme="dark")
    await page.screenshot(path=FOLDER / f"{name}-dark.png", full_page=True)
    await page.emulate_media(color_scheme="light")
