"""Which layer needs which: what a failure makes pointless to look at is one line instead of many. Pure: no I/O.

The idea is that of Tailscale's health warnings: a symptom is not shown beside its cause.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from agent.doctor.finding import Finding, OwnLayer, Subject
from agent.doctor.report import Layer, StepState

_O: Final = OwnLayer

NEEDS: Final[Mapping[OwnLayer, tuple[OwnLayer, ...]]] = {
    _O.PROXY: (_O.SETTINGS, _O.TOKEN),
    _O.DNS: (_O.PROXY,),
    _O.TCP: (_O.DNS,),
    _O.GREETING: (_O.TCP,),
    _O.HOST_KEY: (_O.GREETING,),
    _O.LOGIN: (_O.HOST_KEY,),
    _O.CONTROL: (_O.LOGIN,),
    _O.CLOCK: (_O.CONTROL,),
    _O.ROUND_TRIP: (_O.CONTROL,),
    _O.THROUGHPUT: (_O.ROUND_TRIP,),
}
"""What is not here needs nothing: it is always looked at."""

SERVER_LAYERS: Final = tuple(NEEDS)

STORE_LAYERS: Final = (Layer.POLICY, Layer.DNS, Layer.TCP, Layer.TLS, Layer.HTTP, Layer.WEBSERVICE)
"""Without an API key; each needs the one before."""


def hidden_by(cause: OwnLayer) -> tuple[OwnLayer, ...]:
    """The layers that need ``cause``, and those that need them, in the order in which they are looked at."""
    hidden = {cause}
    for layer in SERVER_LAYERS:
        if hidden.intersection(NEEDS[layer]):
            hidden.add(layer)
    return tuple(layer for layer in SERVER_LAYERS if layer in hidden and layer is not cause)


def not_looked_at(subject: Subject, name: str, cause: str, hides: Iterable[OwnLayer | Layer]) -> Finding | None:
    """The one line for what a failure hides, None when that is nothing; ``cause`` is a layer's name."""
    layers = tuple(hides)
    if not layers:
        return None
    shown = ", ".join(shown_layer(layer) for layer in layers)
    return Finding(
        subject,
        name,
        layers[0],
        StepState.SKIPPED,
        f"Not looked at, since {shown_layer(cause)} failed: {shown}.",
        hides=layers,
    )


def shown_layer(layer: str) -> str:
    """A layer as a person reads it."""
    return _SHOWN.get(layer, layer.replace("_", " "))


_SHOWN: Final = {
    "dns": "DNS",
    "tcp": "TCP",
    "tls": "TLS",
    "http": "HTTP",
    "greeting": "SSH greeting",
    "control": "control channel",
    "key": "API key",
}
