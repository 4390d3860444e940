"""Which environment variable counts."""

from __future__ import annotations

import pytest

from agent.errors import SettingsError
from agent.tunnel.proxy_route import describe_route, route_of_environment

ORDER = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


@pytest.mark.parametrize("strongest", range(len(ORDER)))
def test_the_order_is_that_of_curl(strongest: int) -> None:
    environ = {name: f"http://proxy-{name.lower()}-{name.islower()}.test:1" for name in ORDER[strongest:]}
    environ.update(dict.fromkeys(ORDER[:strongest], ""))  # empty counts as unset
    route = route_of_environment(environ)
    assert route is not None
    assert route.named == ORDER[strongest]
    assert str(route.address) == environ[ORDER[strongest]].lower()


def test_variables_of_other_protocols_do_not_count() -> None:
    environ = {"http_proxy": "http://p.test:1", "HTTP_PROXY": "http://p.test:1", "ftp_proxy": "http://p.test:1"}
    assert route_of_environment(environ) is None
    assert route_of_environment({"https_proxy": "  "}) is None


def test_no_proxy_in_lower_case_wins() -> None:
    environ = {"https_proxy": "http://p.test:1", "no_proxy": "a.test", "NO_PROXY": "b.test"}
    route = route_of_environment(environ)
    assert route is not None
    assert not route.leads_to("a.test", 22)
    assert route.leads_to("b.test", 22)
    route = route_of_environment({**environ, "no_proxy": ""})
    assert route is not None
    assert not route.leads_to("b.test", 22)


def test_a_wrong_variable_is_named_and_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        route_of_environment({"https_proxy": "", "ALL_PROXY": "https://shop:t0psecret@p.test:1"})
    assert str(caught.value).startswith("The environment variable ALL_PROXY begins with https://")
    assert 'proxy.url = "none"' in str(caught.value)
    assert "t0psecret" not in str(caught.value)


def test_what_the_log_says() -> None:
    route = route_of_environment({"HTTPS_PROXY": "http://shop:t0psecret@p.test:1", "NO_PROXY": "b.test"})
    servers = ("a.test:22", "b.test:443")
    assert describe_route(None, servers) == "none"
    assert describe_route(route, servers[:1]) == "http://p.test:1 (HTTPS_PROXY)"
    assert describe_route(route, servers) == "http://p.test:1 (HTTPS_PROXY), but not for b.test:443"
    assert "t0psecret" not in repr(route)
