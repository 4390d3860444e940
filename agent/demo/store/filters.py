"""Filter, sort and limit of a list request as SQL. Pure: field names come from the schema, values go as arguments."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from agent.demo.store.faults import WebserviceFault, did_you_mean
from agent.demo.store.php import Value, Vars
from agent.demo.store.schema import Field, Resource

_BRACKETS = re.compile(r"^(.*)\[(.*)\](.*)$", re.DOTALL)
_WRAPPED = re.compile(r"^\[(.*?)\]$", re.DOTALL)
_INTERVAL = re.compile(r"^([\d.:\-\s]+),([\d.:\-\s]+)$")
_NUMBER = re.compile(r"^-?\d+(\.\d+)?$")
_LEADING_NUMBER = re.compile(r"^\s*-?\d+")
_NUMERIC_FORMATS = frozenset(
    {"isUnsignedId", "isNullOrUnsignedId", "isBool", "isInt", "isUnsignedInt", "isPositiveInt"}
)
_NUMERIC_NAMES = frozenset({"position", "quantity", "rate", "reduction", "price", "weight", "level_depth"})
_DATES = ("date_add", "date_upd")


@dataclass(slots=True)
class Selection:
    """The end of a SELECT: conditions with their values, then order and limit."""

    where: str = "1"
    arguments: list[object] = field(default_factory=list)
    tail: str = ""


def select(resource: Resource, params: Vars, languages: list[str], *, skip_filters: bool = False) -> Selection:
    """What ``filter``, ``sort`` and ``limit`` select.

    Raises WebserviceFault 29-34, 37-39 where the real store sends those codes (as a 500, with PHP warnings).
    """
    selection = Selection()
    available = _available(resource, dates=bool(params.get("date") not in (None, "", "0")))
    wanted = params.get("filter")
    if not skip_filters and isinstance(wanted, dict):
        for name, value in wanted.items():
            if name not in ("sort", "limit"):
                _add_filter(selection, resource, name, value, available, languages)
    return selection


def order(resource: Resource, params: Vars, languages: list[str], selection: Selection) -> None:
    """Add ``sort`` and ``limit`` to ``selection``."""
    available = _available(resource, dates=bool(params.get("date") not in (None, "", "0")))
    terms: list[str] = []
    if isinstance(wanted := params.get("sort"), str):
        match = _WRAPPED.match(wanted)
        asked = match[1].split(",") if match else [wanted]
        terms = [_sort_term(resource, term, available, languages) for term in asked]
    selection.tail = f"ORDER BY {', '.join(terms)}" if terms else "ORDER BY seq"
    if isinstance(limit := params.get("limit"), str):
        numbers = limit.split(",")
        if len(numbers) > 2:
            message = 'The "limit" value has to be formed as this example: "5,25" or "10"'
            raise WebserviceFault(400, (39, message), warned=True)
        selection.tail += " LIMIT " + ", ".join(str(_whole(number)) for number in numbers)


def _available(resource: Resource, *, dates: bool) -> list[str]:
    """Fields that may be filtered; the two dates only with date=1."""
    names = ["id", *(one.name for one in resource.fields if not one.translated)]
    if dates:
        return names + [name for name in _DATES if name not in names]
    return [name for name in names if name not in _DATES]


def _add_filter(
    selection: Selection,
    resource: Resource,
    name: str,
    value: Value,
    available: list[str],
    languages: list[str],
) -> None:
    found = resource.field(name)
    if name not in available:
        if found is not None and found.translated and value != "":
            values = list(value.values()) if isinstance(value, dict) else [value]
            for one in values:
                _add_translated(selection, name, str(one), languages)
            return
        if isinstance(value, dict):
            raise WebserviceFault(400, (31, "There is no existing linked table for this resource"), warned=True)
        raise WebserviceFault(400, (32, did_you_mean("This filter does not exist", name, available)), warned=True)
    if value == "" or isinstance(value, dict):
        raise WebserviceFault(400, (33, f'The filter "{name}" is malformed.'), warned=True)
    if found is not None and found.computed:
        text = f'The field "{name}" is dynamic. It is not possible to filter GET query with this field.'
        raise WebserviceFault(400, (34, text), warned=True)
    _add_condition(selection, f'"{name}"', value, numeric=name == "id" or _numeric(found))


def _add_translated(selection: Selection, name: str, value: str, languages: list[str]) -> None:
    inner = Selection(where="", arguments=[])
    for language in languages:
        one = Selection()
        _add_condition(one, f"""json_extract("{name}", '$."{int(language)}"')""", value, numeric=False)
        inner.where += (" OR " if inner.where else "") + f"({one.where})"
        inner.arguments += one.arguments
    selection.where += f" AND ({inner.where or '0'})"
    selection.arguments += inner.arguments


def _add_condition(selection: Selection, column: str, value: str, *, numeric: bool) -> None:
    """The operators that PrestaShop's filters know: [a], [a|b], [a,b], %[a]%, [a]%, %[a], >[a], <[a], ![a]."""
    match = _BRACKETS.match(value)
    before, inner, after = match.groups() if match else ("", value, "")
    if match is None:
        _compare(selection, column, "=", [value], numeric=numeric)
    elif before == "%" or after == "%":
        selection.where += f" AND {column} LIKE ?"
        selection.arguments.append(before + inner + after)
    elif before == "" and after == "":
        interval = _INTERVAL.match(inner)
        if inner.find("|") > 0:
            _compare(selection, column, "=", inner.split("|"), numeric=numeric)
        elif interval:
            _between(selection, column, sorted(interval.groups(), key=_sort_key), numeric=numeric)
        else:
            _compare(selection, column, "=", [inner], numeric=numeric)
    elif before in (">", "<"):
        _compare(selection, column, before, [inner], numeric=numeric)
    elif before == "!":
        for one in inner.split("|"):
            _compare(selection, column, "!=", [one], numeric=numeric)


def _compare(selection: Selection, column: str, operator: str, values: list[str], *, numeric: bool) -> None:
    terms = []
    for value in values:
        if numeric:
            terms.append(f"CAST({column} AS REAL) {operator} ?")
            selection.arguments.append(float(value) if _NUMBER.match(value.strip()) else 0.0)
        else:
            terms.append(f"{column} {operator} ? COLLATE NOCASE")
            selection.arguments.append(value)
    selection.where += f" AND ({' OR '.join(terms)})"


def _between(selection: Selection, column: str, ends: list[str], *, numeric: bool) -> None:
    expression = f"CAST({column} AS REAL)" if numeric else column
    selection.where += f" AND {expression} BETWEEN ? AND ?"
    for end in ends:
        selection.arguments.append(float(end) if numeric and _NUMBER.match(end.strip()) else end)


def _sort_term(resource: Resource, term: str, available: list[str], languages: list[str]) -> str:
    name, underscore, direction = term.rpartition("_")
    if not underscore or direction.upper() not in ("ASC", "DESC"):
        text = (
            'The "sort" value has to be formed as this example: "field_ASC" or '
            "'[field_1_DESC,field_2_ASC,field_3_ASC,...]' (\"field\" has to be an available field)"
        )
        raise WebserviceFault(400, (37, text), warned=True)
    found = resource.field(name)
    if found is not None and found.translated:
        language = int(languages[0]) if languages else 1
        return f"""json_extract("{name}", '$."{language}"') COLLATE NOCASE {direction.upper()}"""
    if name not in available:
        translated = [one.name for one in resource.fields if one.translated]
        text = f"Unable to filter by this field. However, these are available: {', '.join(available)}"
        raise WebserviceFault(400, (38, f"{text}, for i18n fields:{', '.join(translated)}"), warned=True)
    column = f'CAST("{name}" AS REAL)' if name == "id" or _numeric(found) else f'"{name}" COLLATE NOCASE'
    return f"{column} {direction.upper()}"


def _numeric(found: Field | None) -> bool:
    if found is None:
        return False
    return (
        found.decimals is not None
        or found.format in _NUMERIC_FORMATS
        or found.name.startswith("id_")
        or (found.format is None and found.name in _NUMERIC_NAMES)
    )


def _whole(text: str) -> int:
    """PHP's cast to int: what is no number is 0."""
    match = _LEADING_NUMBER.match(text)
    return max(0, int(match[0])) if match else 0


def _sort_key(end: str) -> tuple[float, str]:
    return (float(end) if _NUMBER.match(end.strip()) else 0.0, end)
