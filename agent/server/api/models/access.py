"""People, API tokens and the session, as the API takes and gives them."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from agent.server.api.models.fields import Asked, Moment, Name
from agent.server.operations.api_tokens import ApiToken, NewApiToken
from agent.server.operations.people import Invited, Person
from agent.server.operations.principal import Role
from agent.server.operations.sessions import Session


class PersonAsked(Asked):
    """Somebody who is invited."""

    name: Name
    role: Role


class PersonEdited(Asked):
    """What changes of a person."""

    role: Role


class PersonShown(BaseModel):
    """Somebody who uses the panel."""

    id: str
    name: str
    role: Role
    enabled: bool
    has_password: bool = Field(description="false until the one-time link was used")
    created_at: datetime
    last_login_at: datetime | None

    @classmethod
    def of(cls, person: Person) -> PersonShown:
        """As shown."""
        return cls(**asdict(person))


class PersonInvited(BaseModel):
    """The only time that the link is shown: whoever opens it chooses the password."""

    person: PersonShown
    link_path: str = Field(description="to be put behind the address of the panel")
    link_url: str | None = Field(description="the whole link; null while the address of the panel is not known")
    expires_at: datetime

    @classmethod
    def of(cls, invited: Invited, panel_url: str | None) -> PersonInvited:
        """As shown once."""
        path = f"/welcome/{invited.link.token}"
        return cls(
            person=PersonShown.of(invited.person),
            link_path=path,
            link_url=panel_url + path if panel_url is not None else None,
            expires_at=invited.link.expires_at,
        )


class ApiTokenAsked(Asked):
    """A new API token; ``scopes`` null = all that the role may do."""

    name: Name
    role: Role
    scopes: list[str] | None = None
    expires_at: AwareDatetime | None = None


TokenState = Literal["active", "resting", "expired", "revoked"]


class ApiTokenShown(BaseModel):
    """An API token, without its secret."""

    id: str
    name: str
    role: Role
    scopes: list[str] | None
    state: TokenState = Field(description="resting: who made it is disabled")
    made_by: str | None = Field(description="a person; null: it was made by command, and belongs to nobody")
    created_at: datetime
    expires_at: Moment | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, token: ApiToken) -> ApiTokenShown:
        """As shown."""
        return cls(**{**asdict(token), "state": token.state(time.time())})


class ApiTokenCreated(BaseModel):
    """The only time that the secret is shown."""

    token: ApiTokenShown
    secret: str
    api_url: str | None = Field(description="where it is sent to; null while the address of the panel is not known")

    @classmethod
    def of(cls, new: NewApiToken, panel_url: str | None) -> ApiTokenCreated:
        """As shown once."""
        url = f"{panel_url}/v1" if panel_url is not None else None
        return cls(token=ApiTokenShown.of(new.token), secret=new.secret, api_url=url)


class SessionShown(BaseModel):
    """One login of a person."""

    shown_id: str = Field(description="tells sessions apart; opens nothing")
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    peer: str

    @classmethod
    def of(cls, session: Session) -> SessionShown:
        """As shown."""
        return cls(
            shown_id=session.shown_id,
            created_at=session.created_at,
            last_seen_at=session.last_seen_at,
            expires_at=session.expires_at,
            peer=session.peer,
        )


class SelfShown(BaseModel):
    """Who asks; ``sessions`` are those of a person, [] for a token."""

    actor: str
    role: Role
    scopes: list[str] | None
    sessions: list[SessionShown]
