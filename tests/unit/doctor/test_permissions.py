"""What a key may do, read from the list of resources of real shops and from hostile bytes."""

from __future__ import annotations

import time

import pytest

from agent.doctor.permissions import RESOURCES_MAX, read_permissions

XLINK = b'xlink:href="http://shop.example.com/api/products"'
NOW = (
    b'<prestashop xmlns:xlink="http://www.w3.org/1999/xlink"><api shopName="Demo">'
    b"<products " + XLINK + b' get="true" put="false" post="true" patch="true" delete="false" head="true">'
    b"<description " + XLINK + b' get="true" put="true" post="true" patch="true" delete="true" head="true">text'
    b'</description><schema xlink:href="x?schema=blank" type="blank"/></products></api></prestashop>'
)


def test_a_listing_of_prestashop_8() -> None:
    assert read_permissions(NOW) == {"products": ("GET", "HEAD", "POST", "PATCH")}


def test_a_listing_without_patch_as_shops_before_8_send_it() -> None:
    listing = NOW.replace(b' patch="true"', b"")
    assert read_permissions(listing) == {"products": ("GET", "HEAD", "POST")}


def test_a_resource_without_rights_is_there_without_methods() -> None:
    assert read_permissions(b'<orders get="false" put="false" post="false" delete="false" head="false">') == {
        "orders": ()
    }


@pytest.mark.parametrize(
    "listing",
    [
        b"",
        b"<html><body class='x'>hello</body></html>",
        b"<products",
        b'<products get="true"',
        b'<products get="yes">',
        b'<!DOCTYPE a [<!ENTITY x "' + b"y" * 1000 + b'">]><a>&x;</a>',
        b'<a\x00b get="true">',
        b"\xff\xfe<\x00a\x00",
    ],
)
def test_what_is_no_listing_opens_nothing(listing: bytes) -> None:
    assert read_permissions(listing) == {}


def test_entities_are_not_expanded() -> None:
    listing = b'<!DOCTYPE a [<!ENTITY t "true">]><products get="&t;" head="true"/>'
    assert read_permissions(listing) == {}


def test_a_listing_that_breaks_off_gives_what_came() -> None:
    assert set(read_permissions(NOW[: NOW.index(b"<description") + 20])) == {"products"}


def test_the_number_of_resources_is_bounded() -> None:
    listing = b"".join(b'<r%d get="true" head="true"/>' % number for number in range(RESOURCES_MAX * 3))
    assert len(read_permissions(listing)) == RESOURCES_MAX


@pytest.mark.parametrize("unit", [b"<a ", b'<a get="', b"<a" + b" " * 50, b'<a get="true"', b"<a get=true "])
def test_the_time_grows_with_the_size_only(unit: bytes) -> None:
    listing = unit * (256 * 1024 // len(unit))
    began = time.perf_counter()
    read_permissions(listing)
    assert time.perf_counter() - began < 2.0
