"""Configuration: frozen pydantic classes that equal the YAML file key by key, and refuse what they do not know."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from panna_plus.errors import ConfigError, require


class Config(BaseModel):
    """Base of every section of a configuration file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


AnyConfig = TypeVar("AnyConfig", bound=Config)


def load_yaml(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read a YAML mapping and apply overrides of the form ``train.batch_size=4``.

    Raises
    ------
    ConfigError
        If the file cannot be read or is no mapping, or an override is malformed.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration '{path}': {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"'{path}' is not valid YAML: {error}") from error
    require(isinstance(content, dict), ConfigError, f"'{path}' must hold 'key: value' lines, found {content!r:.60}")
    for override in overrides:
        apply_override(content, override)
    return content


def apply_override(content: dict[str, Any], override: str) -> None:
    """Set one value, ``a.b=c``, in nested mappings; the value is read as YAML."""
    path, separator, text = override.partition("=")
    keys = path.split(".")
    require(bool(separator) and all(keys), ConfigError, f"--set expects KEY.KEY=VALUE, found '{override}'")
    for key in keys[:-1]:
        content = content.setdefault(key, {})
        require(isinstance(content, dict), ConfigError, f"--set {override}: '{key}' is a value, not a section")
    try:
        content[keys[-1]] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not valid YAML: {error}") from error


def parse(cls: type[AnyConfig], content: Mapping[str, Any], source: str) -> AnyConfig:
    """Build `cls` from a mapping.

    Raises
    ------
    ConfigError
        Listing every fault with its path; unknown keys come with the nearest known one.
    """
    try:
        return cls.model_validate(content)
    except ValidationError as error:
        faults = "\n".join(f"  {_fault(cls, e)}" for e in error.errors())
        raise ConfigError(f"{source}:\n{faults}") from error


def _fault(cls: type[Config], error: Any) -> str:
    location = [str(part) for part in error["loc"]]
    path = ".".join(location)
    if error["type"] == "extra_forbidden":
        return f"{path}: unknown option{_suggestion(location[-1], _known_keys(cls, error['loc'][:-1]))}"
    if error["type"] == "missing":
        return f"{path}: this option is required and missing"
    return f"{path}: {error['msg']}, found {error['input']!r:.80}"


def _suggestion(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f", did you mean '{near[0]}'?" if near else f"; known here: {', '.join(sorted(known))}"


def _known_keys(cls: type[Config], location: Sequence[Any]) -> list[str]:
    """Return the option names of the section at `location` below `cls`."""
    section: Any = cls
    for part in location:
        section = _section_named(section, str(part))
    return list(section.model_fields)


def _section_named(cls: type[Config], name: str) -> type[Config]:
    """Return the class of field `name`; names that are no fields are tags of a union that pydantic adds to the path."""
    field = cls.model_fields.get(name)
    if field is None:
        return cls
    candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
    sections = [c for c in candidates if isinstance(c, type) and issubclass(c, Config)]
    return sections[0] if sections else cls


def dump_yaml(config: Config) -> str:
    """Return the configuration as YAML, in the order of its fields."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, default_flow_style=None)
