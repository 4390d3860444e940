"""How often the database failed, whoever asked it: the driver's errors pass here."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine


class FailuresCounted:
    """Listens to ``engine`` from now on; ``count`` is without values that were sent and changes that collided."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.count = 0
        event.listen(engine.sync_engine, "handle_error", self._failed)

    def _failed(self, context: Any) -> None:  # noqa: ANN401 - SQLAlchemy's ExceptionContext, which it makes itself
        if not isinstance(context.sqlalchemy_exception, DataError | IntegrityError):
            self.count += 1
