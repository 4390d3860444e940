"""What is shown of one step of the demo."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One step that went well.

    ``finding`` is what came out of it, in a few words; ``sent`` is the request line, or the query for a step that
    looks into the store's database; ``hops`` the places it went through, the last of which answered; ``refused`` is
    the error's name where a refusal was the aim. ``notes`` are label, value and remark. Steps without a request have
    ``status`` 0.
    """

    number: int
    title: str
    finding: str
    sent: str
    hops: tuple[str, ...] = ()
    refused: str = ""
    status: int = 0
    size_bytes: int = 0
    elapsed_ms: float = 0.0
    notes: tuple[tuple[str, str, str], ...] = ()
