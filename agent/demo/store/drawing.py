"""Draws the sample store's pictures: blocky little still lifes as JPEG, and a logo as PNG. Pure, no libraries.

The JPEG writer is baseline (ITU T.81) with one flat colour for each block of 8 by 8 pixels: only DC coefficients are
coded, the AC table knows nothing but end-of-block.
"""

from __future__ import annotations

import functools
import hashlib
import math
import struct
import zlib
from collections.abc import Callable

Colour = tuple[int, int, int]

_BLOCK = 8
_QUANTUM = 4
_DC_COUNTS = bytes([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
_DC_VALUES = bytes(range(12))
_AC_COUNTS = bytes([1, *([0] * 15)])
_PALETTE: tuple[Colour, ...] = (
    (196, 78, 60),
    (63, 111, 170),
    (84, 148, 92),
    (226, 168, 56),
    (128, 92, 160),
    (64, 150, 150),
    (176, 116, 80),
    (216, 112, 148),
)


@functools.lru_cache(maxsize=64)
def draw_jpeg(width: int, height: int, name: str) -> bytes:
    """A still life that ``name`` decides: something round or square on a table, in its own colours."""
    return encode_jpeg(width, height, _still_life(name))


@functools.lru_cache(maxsize=4)
def draw_logo(width: int = 96, height: int = 32) -> bytes:
    """The shop's logo: a row of coloured stripes, as PNG."""
    rows = []
    for y in range(height):
        row = bytearray([0])
        for x in range(width):
            inside = abs(y - height / 2) < height / 2 - 3 - 6 * abs(math.sin(x / 9))
            row += bytes(_PALETTE[x // 12 % len(_PALETTE)] if inside else (255, 255, 255))
        rows.append(bytes(row))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (_png_chunk(b"IHDR", header), _png_chunk(b"IDAT", zlib.compress(b"".join(rows), 9)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + _png_chunk(b"IEND", b"")


def encode_jpeg(width: int, height: int, colour_at: Callable[[float, float], Colour]) -> bytes:
    """A JPEG whose blocks have the colour of their middle; ``colour_at`` takes x and y from 0 to 1."""
    columns, rows = -(-width // _BLOCK), -(-height // _BLOCK)
    codes = _dc_codes()
    bits = _Bits()
    previous = [0, 0, 0]
    for row in range(rows):
        for column in range(columns):
            colour = colour_at((column + 0.5) / columns, (row + 0.5) / rows)
            for index, level in enumerate(_ycbcr(colour)):
                value = round(level * _BLOCK / _QUANTUM)
                bits.add_difference(value - previous[index], codes)
                previous[index] = value
    tables = b"".join(
        _segment(0xC4, bytes([identifier]) + counts + values)
        for identifier, counts, values in ((0x00, _DC_COUNTS, _DC_VALUES), (0x10, _AC_COUNTS, b"\0"))
    )
    components = b"".join(bytes([number, 0x11, 0]) for number in (1, 2, 3))
    frame = struct.pack(">BHHB", 8, height, width, 3) + components
    scan = b"\x03" + b"".join(bytes([number, 0]) for number in (1, 2, 3)) + b"\x00\x3f\x00"
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"),
            _segment(0xDB, bytes([0]) + bytes([_QUANTUM]) * 64),
            _segment(0xC0, frame),
            tables,
            _segment(0xDA, scan),
            bits.finish(),
            b"\xff\xd9",
        )
    )


class _Bits:
    """Collects the entropy-coded bits, with a zero byte stuffed after each 0xFF."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._value = 0
        self._count = 0

    def add_difference(self, difference: int, codes: dict[int, tuple[int, int]]) -> None:
        size = abs(difference).bit_length()
        code, length = codes[size]
        self._add(code, length)
        if size:
            self._add(difference if difference > 0 else difference + (1 << size) - 1, size)
        self._add(0, 1)

    def _add(self, value: int, length: int) -> None:
        self._value = (self._value << length) | value
        self._count += length
        while self._count >= 8:
            self._count -= 8
            byte = self._value >> self._count
            self._value &= (1 << self._count) - 1
            self._bytes.append(byte)
            if byte == 0xFF:
                self._bytes.append(0)

    def finish(self) -> bytes:
        if self._count:
            self._add((1 << (8 - self._count)) - 1, 8 - self._count)
        return bytes(self._bytes)


def _dc_codes() -> dict[int, tuple[int, int]]:
    """Code and length for each size, from the counts (T.81 annex C)."""
    codes: dict[int, tuple[int, int]] = {}
    code, index = 0, 0
    for length, count in enumerate(_DC_COUNTS, start=1):
        for _ in range(count):
            codes[_DC_VALUES[index]] = (code, length)
            code += 1
            index += 1
        code <<= 1
    return codes


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _ycbcr(colour: Colour) -> tuple[float, float, float]:
    """Luminance less 128 and the two colour differences (JFIF 1.02)."""
    red, green, blue = colour
    luminance = 0.299 * red + 0.587 * green + 0.114 * blue
    return luminance - 128, (blue - luminance) * 0.564, (red - luminance) * 0.713


def _still_life(name: str) -> Callable[[float, float], Colour]:
    digest = hashlib.sha256(name.encode()).digest()
    thing, cloth = _PALETTE[digest[0] % 8], _PALETTE[(digest[0] + 1 + digest[1] % 7) % 8]
    radius, round_thing = 0.2 + digest[2] / 1600, digest[3] % 2 == 0

    def colour_at(x: float, y: float) -> Colour:
        dx, dy = x - 0.5, y - 0.52
        distance = math.hypot(dx, dy) if round_thing else max(abs(dx), abs(dy) * 0.8)
        if distance < radius:
            return _shade(thing, 1.15 - 1.6 * max(0.0, dx + dy))
        if y > 0.7:
            return _shade(cloth, 0.7 + 0.25 * math.sin(40 * x) * math.sin(40 * y))
        return _shade((236, 232, 224), 1.0 - 0.15 * y)

    return colour_at


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, max(0, round(part * factor))) for part in colour)
    return red, green, blue
