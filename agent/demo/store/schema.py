"""The resources of the webservice, read from schema.txt. Pure but for reading that file."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from importlib import resources

_METHOD_LETTERS = {"G": "GET", "H": "HEAD", "P": "POST", "U": "PUT", "A": "PATCH", "D": "DELETE"}
_ZERO = frozenset(
    {"isBool", "isUnsignedId", "isNullOrUnsignedId", "isUnsignedInt", "isPositiveInt", "isInt", "isIntOrNull"}
)
_DECIMAL = frozenset({"isPrice", "isUnsignedFloat", "isFloat", "isNegativePrice"})
_NULLABLE = frozenset({"low_stock_threshold"})


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a resource."""

    name: str
    xlink: str | None = None
    translated: bool = False
    computed: bool = False
    writable: bool = True
    required: bool = False
    synopsis_read_only: bool = False
    max_size: int | None = None
    format: str | None = None
    default: str = ""
    decimals: int | None = None
    """Places that the database keeps of a number; None is no such number."""


@dataclass(frozen=True, slots=True)
class AssociationField:
    """One field of the items of an association."""

    name: str
    xlink: str | None
    required: bool


@dataclass(slots=True)
class Association:
    """A list of records that belong to a record. Without ``api`` its items are no records of their own."""

    name: str
    node: str
    api: str | None
    xlink: str | None
    fields: list[AssociationField] = field(default_factory=list)


@dataclass(slots=True)
class Resource:
    """One resource. ``node`` None: it exists, but this store has no records of it."""

    name: str
    node: str | None
    methods: frozenset[str]
    description: str
    fields: list[Field] = field(default_factory=list)
    associations: list[Association] = field(default_factory=list)

    @property
    def class_name(self) -> str:
        """PrestaShop's class, as its validation messages name it."""
        return "".join(part.title() for part in (self.node or "").split("_"))

    def field(self, name: str) -> Field | None:
        """The field called ``name``."""
        return next((one for one in self.fields if one.name == name), None)

    def association(self, name: str) -> Association | None:
        """The association called ``name``."""
        return next((one for one in self.associations if one.name == name), None)


@functools.cache
def load_schema() -> dict[str, Resource]:
    """All resources by name, in PrestaShop's (alphabetical) order."""
    text = resources.files("agent.demo.store").joinpath("schema.txt").read_text(encoding="utf-8")
    found: dict[str, Resource] = {}
    current: Resource | None = None
    for line in text.splitlines():
        words = line.split()
        if not words or words[0] == "#":
            continue
        if words[0] == "=":
            current = _resource(line)
            found[current.name] = current
        elif current is None:
            raise ValueError(f"schema.txt: {line.strip()} comes before any resource")
        elif words[0].startswith("@"):
            current.associations.append(_association(words))
        elif words[0].startswith("+"):
            current.associations[-1].fields.append(_association_field(words))
        else:
            current.fields.append(_field(words))
    return found


def _resource(line: str) -> Resource:
    name, node, letters, description = (part.strip() for part in line[1:].split("|"))
    return Resource(
        name=name,
        node=None if node == "-" else node,
        methods=frozenset(_METHOD_LETTERS[letter] for letter in letters),
        description=description,
    )


def _field(words: list[str]) -> Field:
    name, tokens = words[0], words[1:]
    format_ = next((token for token in tokens if token.lower().startswith("is")), None)
    given = next((token[1:] for token in tokens if token.startswith("=")), None)
    max_size = next((int(token[1:]) for token in tokens if token.startswith("<")), None)
    return Field(
        name=name,
        xlink=_xlink(tokens),
        translated="~" in tokens,
        computed="!" in tokens,
        writable="#" not in tokens,
        required="*" in tokens,
        synopsis_read_only="r" in tokens,
        max_size=max_size,
        format=format_,
        default=_stored_default(name, format_) if given is None else given,
        decimals=next((int(token[1:]) for token in tokens if token[0] == "."), 6 if format_ in _DECIMAL else None),
    )


def _stored_default(name: str, format_: str | None) -> str:
    """What MySQL keeps in the column when the field was not given."""
    if name in _NULLABLE or format_ is None:
        by_name = {"newsletter_date_add": "0000-00-00 00:00:00", "unit_price_ratio": "0.000000"}
        return by_name.get(name, "0" if name in {"id_default_group", "cache_default_attribute", "position"} else "")
    if format_ in _ZERO:
        return "0"
    if format_ in _DECIMAL:
        return "0.000000"
    if format_ in {"isDateFormat", "isBirthDate"}:
        return "0000-00-00"
    return "0000-00-00 00:00:00" if format_ in {"isDate", "isDateOrNull"} else ""


def _association(words: list[str]) -> Association:
    return Association(
        name=words[0][1:], node=words[1], api=None if words[2] == "-" else words[2], xlink=_xlink(words[3:])
    )


def _association_field(words: list[str]) -> AssociationField:
    return AssociationField(name=words[0][1:], xlink=_xlink(words[1:]), required="*" in words[1:])


def _xlink(tokens: list[str]) -> str | None:
    return next((token[1:] for token in tokens if token.startswith(">")), None)
