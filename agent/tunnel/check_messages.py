"""The messages of a store check: the server asks, the agent looks, layer by layer, and tells."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from agent.tunnel.frame import Frame, Identity, Name, Resource, Seconds, Sentence

CHECK_FEATURE: Final = "check"
"""In a hello: this agent can be asked to check a store."""

STEPS_MAX: Final = 20
RESOURCES_MAX: Final = 300

Text = Annotated[str, StringConstraints(max_length=400)]
Number = Annotated[int, Field(ge=-(2**53), le=2**53)]
FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]
FieldValue = Annotated[str, StringConstraints(pattern=r"^[ -~]{1,1024}$")]
"""What a connection can set. A CR or LF in it would be a request of the server's own, past the agent's policy."""

Verdict = Annotated[str, StringConstraints(pattern=r"^[a-z_]{0,40}$")]
Methods = Annotated[str, StringConstraints(pattern=r"^[GHPUAD]{0,6}$")]
"""Initials of GET, HEAD, POST; PUT is U, PATCH is A, DELETE is D."""

INITIALS: Final = {"GET": "G", "HEAD": "H", "POST": "P", "PUT": "U", "PATCH": "A", "DELETE": "D"}


class Check(Frame):
    """Server to agent: check the store with these values, as the agent's own policy lets an exchange do."""

    type: Literal["check"] = "check"
    id: Identity
    scheme: Annotated[str, StringConstraints(max_length=8)]
    host: Name
    port: int
    base_path: Annotated[str, StringConstraints(max_length=1024)]
    virtual_uri: Name = ""
    id_shop: Name = ""
    api_key: Annotated[str, StringConstraints(max_length=64, pattern=r"^[!-9;-~]*$"), Field(repr=False)]
    key_in: Literal["basic", "ws_key"] = "basic"
    test_path: Annotated[str, StringConstraints(max_length=300, pattern=r"^/[!-~]*$")] = "/api/"
    test_method: Literal["GET", "HEAD"] = "GET"
    headers: Annotated[list[tuple[FieldName, FieldValue]], Field(max_length=20, repr=False)] = Field(
        default_factory=list
    )


class CheckStep(Frame):
    """Agent to server: one layer is looked at."""

    type: Literal["check_step"] = "check_step"
    id: Identity
    layer: Annotated[str, StringConstraints(pattern=r"^[a-z]{1,20}$")]
    state: Literal["ok", "warning", "failed", "skipped"]
    finding: Sentence = ""
    remedy: Sentence = ""
    verdict: Verdict = ""
    elapsed_ms: Seconds = 0.0
    facts: Annotated[dict[Resource, bool | Number | float | Text], Field(max_length=12)] = Field(default_factory=dict)


class CheckDone(Frame):
    """Agent to server: that was the last step; or the check was refused, which ``refusal`` explains.

    ``busy``: refused for now only, since the agent makes as many checks as it may. Agents of before say nothing of it.
    """

    type: Literal["check_done"] = "check_done"
    id: Identity
    refusal: Sentence = ""
    busy: bool = False
    version: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.+-]{0,40}$")] = ""
    permissions: Annotated[dict[Resource, Methods], Field(max_length=RESOURCES_MAX)] | None = None
    certificate_ends_at: Annotated[float, Field(ge=-1e12, le=1e12)] | None = None
    elapsed_ms: Seconds = 0.0
