"""Reading settings from command line, environment and TOML, with errors that a person can act on."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource
from pydantic_settings.exceptions import SettingsError as EnvironmentValueError

from agent.errors import SettingsError
from agent.settings_errors import Origin, explain, refuse_unknown

S = TypeVar("S", bound=BaseSettings)

NESTED_DELIMITER: Final = "__"

_LINKED_SERVICE: Final = re.compile(r"(SERVICE_(HOST|PORT)|PORT)(_[A-Z0-9_]+)?")
"""What Kubernetes and Docker links put into the environment for a service that has our name."""


class _Environment(EnvSettingsSource):
    """The environment source of pydantic-settings, reading a given mapping instead of the process's own."""

    def __init__(self, model: type[BaseSettings], environ: Mapping[str, str], prefix: str) -> None:
        self._given = environ
        super().__init__(
            model,
            case_sensitive=False,
            env_prefix=prefix,
            env_nested_delimiter=NESTED_DELIMITER,
            env_ignore_empty=True,
        )

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._given.items() if value != ""}


def load_settings(
    model: type[S],
    *,
    file: Path | None,
    env_prefix: str,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any],
) -> S:
    """Build ``model`` from ``overrides`` (command line) > ``environ`` > TOML ``file`` > defaults.

    ``overrides`` is a nested mapping in the shape of the model; leave out what was not given. ``file=None``
    means that there is no file; one that is named must exist. Tables are merged key by key, lists are
    replaced as a whole. In the environment, nested keys are joined by ``__``, lists are JSON, empty variables
    count as unset.

    A model may carry ``refused_keys: ClassVar[dict[str, str]]``, dotted key -> sentence, for settings that
    must not stand where they were written (secrets). Fields may not be unions of different shapes, so that a
    wrong value always has one meaning; use a ``BeforeValidator`` for shorthands.

    Raises:
        SettingsError: the file cannot be read or is not TOML, a key or variable is unknown, a value is wrong.
            One sentence; values whose key looks like a secret's are never shown.
    """
    from_file = read_toml(file) if file is not None else {}
    file_origin = Origin(f"in {file}" if file is not None else "in the settings")
    refuse_unknown(model, from_file, file_origin)
    _refuse_unknown_variables(model, environ, env_prefix)
    try:
        environment = _Environment(model, environ, env_prefix)
        from_environment = environment()
    except EnvironmentValueError as error:
        raise SettingsError(_undecodable(model, env_prefix, error)) from None
    env_origin = Origin("in the environment", env_prefix=env_prefix)
    refuse_unknown(model, from_environment, env_origin)
    layers = (
        (Origin("on the command line"), dict(overrides)),
        (env_origin, from_environment),
        (file_origin, from_file),
    )
    sources = tuple(InitSettingsSource(model, values) for _, values in layers)
    try:
        return model(_build_sources=(sources, {}))
    except ValidationError as error:
        raise SettingsError(explain(model, error, layers)) from None


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of ``file``.

    Raises:
        SettingsError: not there, not readable, not UTF-8, or not TOML (with the line).
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SettingsError(f"There is no settings file {file}: create it or name another one with --config.") from None
    except IsADirectoryError:
        raise SettingsError(f"The settings file {file} is a directory: name the file in it with --config.") from None
    except PermissionError:
        raise SettingsError(
            f"The settings file {file} cannot be read by this user: give it the right, or run as its owner."
        ) from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"The settings file {file} is not UTF-8 at byte {error.start}: save it as UTF-8.") from None
    except OSError as error:
        raise SettingsError(f"The settings file {file} cannot be read: {error.strerror}.") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, place = _toml_reason(str(error), text)
        raise SettingsError(f"{file}, {place}: not valid TOML ({reason}); correct this line.") from None


def _toml_reason(message: str, text: str) -> tuple[str, str]:
    """Split tomllib's message into what is wrong and ``line N``."""
    found = re.fullmatch(r"(?s)(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message)
    if found is None:
        return message, "somewhere"
    reason, line, column = found.groups()
    if line is None:
        return (
            reason,
            f"line {max(1, text.count(chr(10)) + (not text.endswith(chr(10))))} (the end of the file)",
        )
    return reason, f"line {line}, column {column}"


def _undecodable(model: type[BaseModel], prefix: str, error: EnvironmentValueError) -> str:
    """The sentence for a variable that must be JSON and is not; pydantic-settings names the field only."""
    found = re.search(r'field "([^"]+)"', str(error))
    field = found.group(1) if found else ""
    variable = f"{prefix}{field}".upper()
    annotation = model.model_fields[field].annotation if field in model.model_fields else None
    example = "{...}" if isinstance(annotation, type) and issubclass(annotation, BaseModel) else "[...]"
    return f"The environment variable {variable} is not valid JSON: write {example}, or use the settings file."


def _refuse_unknown_variables(model: type[BaseModel], environ: Mapping[str, str], prefix: str) -> None:
    """Refuse variables with our prefix that no field takes; pydantic-settings passes over them in silence."""
    known = {name for name, _ in leaf_fields(model)}
    refused: Mapping[str, str] = getattr(model, "refused_keys", {})
    upper = prefix.upper()
    for variable in sorted(environ):
        if not variable.upper().startswith(upper) or environ[variable] == "":
            continue
        rest = variable.upper()[len(upper) :]
        key = rest.lower().replace(NESTED_DELIMITER, ".")
        if key not in refused and (_is_taken(key, known) or _LINKED_SERVICE.fullmatch(rest)):
            continue
        if any(key.startswith(f"{name}.") for name in known):
            raise SettingsError(
                f"The environment variable {variable} sets a part of a list: give the whole list as JSON, "
                "or set it in the settings file."
            )
        # Let the one place that words unknown keys do it, for the environment as for the file.
        nested: dict[str, Any] = {}
        level = nested
        *parents, last = key.split(".")
        for parent in parents:
            level = level.setdefault(parent, {})
        level[last] = environ[variable]
        refuse_unknown(model, nested, Origin("in the environment", env_prefix=prefix))


def _is_taken(key: str, known: set[str]) -> bool:
    """True when ``key`` is a field, or a table of fields (then its value is JSON)."""
    return key in known or any(name.startswith(f"{key}.") for name in known)


def leaf_fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every settable dotted key of ``model`` with its field; a list of tables is one key."""
    for name, field in model.model_fields.items():
        table = field.annotation
        if isinstance(table, type) and issubclass(table, BaseModel):
            yield from leaf_fields(table, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field
