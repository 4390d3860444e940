"""Fields and manners that the API's models share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from agent.server.operations.names import NAME_MAX_CHARS


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _from_unix(value: object) -> object:
    return datetime.fromtimestamp(value, UTC) if isinstance(value, float) else value


Name = Annotated[str, Field(min_length=1, max_length=NAME_MAX_CHARS)]
Method = Annotated[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], BeforeValidator(_upper)]
Moment = Annotated[datetime, BeforeValidator(_from_unix)]
"""Of unix seconds, whatever the century: pydantic by itself takes those after the year 2603 for milliseconds."""

Description = Annotated[str, Field(max_length=1000)]


class Asked(BaseModel):
    """What is asked for: unknown members are refused, and errors never repeat a value."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
