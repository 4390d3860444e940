"""Whether the baseline is honest: what asyncssh's splice costs beside OpenSSH, now and when it was published. Pure."""

from __future__ import annotations

from typing import Final

from tests.bench.tunnels.peers import OPENSSH, SPLICE
from tests.bench.tunnels.table import Values, ratio

WORK: Final = "1 KiB GET, 16"
PUBLISHED: Final = 224 / 48
"""CPU us/request of the splice and of OpenSSH, as they were measured before there was a fast path."""

PLAUSIBLE: Final = (2.0, 7.0)
"""Machines differ by that much; beyond, one of the two does not run as it should."""


def is_plausible(times: float) -> bool:
    """False when ratios to the splice, or to OpenSSH, say little about this run."""
    return PLAUSIBLE[0] <= times <= PLAUSIBLE[1]


def baseline_sentence(cpu: Values) -> str:
    """A line for the table of ``WORK``, whose CPU time by peer is ``cpu``; "" where one of the two was not measured."""
    times = ratio(cpu, SPLICE, OPENSSH)
    if times is None:
        return ""
    told = f"Baseline: {SPLICE} costs {times:.1f} times the CPU of {OPENSSH} ({WORK}); {PUBLISHED:.1f} when published."
    if is_plausible(times):
        return told
    least, most = PLAUSIBLE
    return f"{told} WARNING: that is not within {least:g} to {most:g}, so the ratios to them are in doubt."
