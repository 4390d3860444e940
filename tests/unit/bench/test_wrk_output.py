"""What wrk prints is read right, and nothing else is taken for a measurement."""

from __future__ import annotations

import pytest

from tests.bench.tunnels.wrk_output import WrkOutput, percentile_ms, read

SAID = """Running 3s test @ http://127.0.0.1:8080/shop/api/k1
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     5.42ms    3.10ms  48.00ms   91.99%
    Req/Sec     2.83k   310.52     3.55k    70.00%
  Latency Distribution
     50%    5.20ms
     75%    6.00ms
     90%    7.10ms
     99%   {p99}
  8531 requests in 3.01s, 10.11MB read
Requests/sec:   2834.22
Transfer/sec:      3.36MB
"""


@pytest.mark.parametrize(
    ("printed", "p99_ms"), [("850.00us", 0.85), ("24.26ms", 24.26), ("1.29s", 1290.0), ("1.50m", 90_000.0)]
)
def test_latencies_come_in_every_unit_of_wrk(printed: str, p99_ms: float) -> None:
    found = read(SAID.format(p99=printed))
    assert found == WrkOutput(8531, 2834.22, 5.2, found.p99_ms)
    assert found.p99_ms == pytest.approx(p99_ms)


@pytest.mark.parametrize(
    "said",
    [
        SAID.format(p99="24.26ms") + "  Non-2xx or 3xx responses: 12\n",
        SAID.format(p99="24.26ms") + "  Socket errors: connect 0, read 3, write 0, timeout 0\n",
        SAID.format(p99="24.26ms").replace("8531 requests", "0 requests"),
        SAID.format(p99="24.26ms").replace("Requests/sec", "Requests"),
        "unable to connect to 127.0.0.1:1 Connection refused\n",
    ],
)
def test_what_failed_is_no_measurement(said: str) -> None:
    with pytest.raises(ValueError, match=r"failed|measured"):
        read(said)


def test_the_spread_of_the_mean_is_not_taken_for_a_percentile() -> None:
    with pytest.raises(ValueError, match="latency at 70 %"):
        percentile_ms(SAID.format(p99="24.26ms"), 70)
