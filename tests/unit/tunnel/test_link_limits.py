"""The kernel's own limits of a link follow the limit of silence when that is set lower."""

from __future__ import annotations

import pytest

from agent.tunnel.flow import LinkLimits


@pytest.mark.parametrize("silence_s", [1, 1.5, 2, 2.5, 3, 4, 5, 7, 9, 10, 10.9, 11, 12, 25, 600])
def test_nothing_outlasts_the_limit(silence_s: float) -> None:
    limits = LinkLimits.within(silence_s)
    assert limits.user_timeout_s <= silence_s
    assert limits.unheard_max_s <= max(silence_s, 2)  # a living link is silent until its next probe is answered
    steps = (limits.keepalive_idle_s, limits.keepalive_interval_s, limits.keepalive_count)
    assert min(steps) >= 1
    # Two whole seconds are the least that the kernel can be told.
    assert limits.keepalive_idle_s + limits.keepalive_interval_s * limits.keepalive_count <= max(silence_s, 2)


def test_the_defaults_are_kept_where_there_is_room() -> None:
    assert LinkLimits.within(25) == LinkLimits.within(12) == LinkLimits()
    assert LinkLimits.within(2) == LinkLimits(1, 1, 1, 2, 2)
