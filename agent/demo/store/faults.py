"""An error that the webservice tells its caller: HTTP status, code and text. Pure."""

from __future__ import annotations

from collections.abc import Sequence


class WebserviceFault(Exception):
    """Ends the work on a request. ``errors`` are (code, message); ``status`` is that of the last one.

    ``warned``: PrestaShop went on after the error and ran into PHP warnings, which turn the status into 500.
    ``sha1`` of what had been written before, for the resources that say so.
    """

    def __init__(self, status: int, *errors: tuple[int, str], warned: bool = False) -> None:
        super().__init__(*errors)
        self.status = 500 if warned else status
        self.errors = list(errors)
        if warned:
            warning = "[PHP Warning #2] Trying to access array offset on value of type bool"
            self.errors += [(3, f"{warning} (WebserviceRequest.php, line {line})") for line in (1333, 1334, 1335)]


class Missing(Exception):
    """There is no such record: 404 without any body."""


def did_you_mean(message: str, given: str, known: Sequence[str]) -> str:
    """``message`` with the nearest known word and the whole list, as PrestaShop words it."""
    full = ' The full list is: "' + '", "'.join(known) + '"' if len(known) > 1 else ""
    return f'{message}. Did you mean: "{_closest(given, known)}"?{full}'


def _closest(given: str, known: Sequence[str]) -> str:
    """The last of the words with the smallest Levenshtein distance."""
    best, shortest = "", -1
    for word in known:
        distance = _distance(given, word)
        if shortest < 0 or distance <= shortest:
            best, shortest = word, distance
        if distance == 0:
            break
    return best


def _distance(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for index, letter in enumerate(one, start=1):
        previous, row[0] = row[0], index
        for column, against in enumerate(other, start=1):
            keep = previous + (letter != against)
            previous, row[column] = row[column], min(keep, row[column] + 1, row[column - 1] + 1)
    return row[len(other)]
