"""The pages, a module for each part of the panel."""

from __future__ import annotations

from agent.server.panel.pages import (
    administration,
    agents,
    client_keys,
    connection_tests,
    connections,
    docs,
    downloads,
    entrance,
    exchanges,
    notice_targets,
    notices,
    overview,
    shown,
    transfer,
)

PAGES = (
    entrance.router,
    overview.router,
    agents.router,
    connection_tests.router,
    connections.router,
    client_keys.router,
    exchanges.router,
    notice_targets.router,
    notices.router,
    transfer.router,
    administration.router,
    docs.router,
    downloads.router,
    shown.router,
)
