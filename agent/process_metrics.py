"""The usual metrics of this process, also where /proc shows processes alone, as in the units (``ProcSubset=pid``)."""

from __future__ import annotations

import time
from typing import Final

from prometheus_client import ProcessCollector

# Once: what restarts of the process are told by must not change between two scrapes.
_BOOTED_AT: Final = round(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME))


class ProcessMetrics(ProcessCollector):
    """prometheus_client's own reads the boot time from /proc/stat, and without that file says nothing at all."""

    def _boot_time(self) -> float:
        return float(_BOOTED_AT)
