"""Drawn pictures are real pictures."""

from __future__ import annotations

import struct
import zlib

from agent.demo.store.drawing import draw_jpeg, draw_logo, encode_jpeg


def segments(content: bytes) -> dict[int, bytes]:
    """The marker segments up to the scan."""
    found: dict[int, bytes] = {}
    place = 2
    while True:
        marker, length = struct.unpack(">xBH", content[place : place + 4])
        found[marker] = content[place + 4 : place + 2 + length]
        place += 2 + length
        if marker == 0xDA:
            return found


def test_jpeg_has_its_markers_and_size() -> None:
    content = draw_jpeg(98, 41, "anything")
    assert content.startswith(b"\xff\xd8\xff\xe0")
    assert content.endswith(b"\xff\xd9")
    parts = segments(content)
    assert parts[0xE0].startswith(b"JFIF\0")
    precision, height, width, components = struct.unpack(">BHHB", parts[0xC0][:6])
    assert (precision, width, height, components) == (8, 98, 41, 3)


def test_every_0xff_of_the_scan_is_stuffed() -> None:
    def noise(x: float, y: float) -> tuple[int, int, int]:
        return int(x * 7919) % 256, int(y * 6007) % 256, int(x * y * 104729) % 256

    content = encode_jpeg(400, 400, noise)
    scan = content[content.index(b"\xff\xda") + 14 : -2]
    assert all(scan[index + 1 : index + 2] == b"\0" for index, byte in enumerate(scan) if byte == 0xFF)


def test_the_name_decides_the_picture() -> None:
    assert draw_jpeg(80, 80, "a") == draw_jpeg(80, 80, "a")
    assert draw_jpeg(80, 80, "a") != draw_jpeg(80, 80, "b")


def test_logo_is_a_png_with_all_its_rows() -> None:
    content = draw_logo(96, 32)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    place, pixels = 8, b""
    while place < len(content):
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        body = content[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack(">I", content[place + 8 + length : place + 12 + length])
        assert checksum == zlib.crc32(kind + body)
        pixels += body if kind == b"IDAT" else b""
        place += 12 + length
    assert len(zlib.decompress(pixels)) == 32 * (1 + 96 * 3)
