"""Debian's Chromium, headless, driven by Playwright; a new empty profile each time."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from playwright.async_api import Browser, async_playwright

from tests.kit.tools import require_tool

DESKTOP: Final = {"width": 1280, "height": 900}
PHONE: Final = {"width": 390, "height": 844}

_FLAGS: Final = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)


@contextlib.asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """Skips the test, naming tool and package, where there is no Chromium."""
    path = require_tool("chromium", "chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


async def settled(page: Any) -> None:
    """Until the page has loaded and htmx has nothing under way."""
    await page.wait_for_load_state("load")
