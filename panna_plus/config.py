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
    keys, parents, sections = _located(cls, error["loc"])
    path = ".".join(keys)
    if error["type"] == "extra_forbidden":
        known = [name for parent in parents for name in parent.model_fields]
        return f"{path}: unknown option{_suggestion(keys[-1], known)}"
    if error["type"] == "missing":
        return f"{path}: this option is required and missing"
    if error["type"] == "union_tag_not_found":
        tags = ", ".join(f"'{_tag(section)}'" for section in sections)
        return f"{path}: this section needs {error['ctx']['discriminator']}, one of {tags}"
    return f"{path}: {error['msg']}, found {error['input']!r:.80}"


def _suggestion(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f", did you mean '{near[0]}'?" if near else f"; known here: {', '.join(sorted(known))}"


def _located(cls: type[Config], location: Sequence[Any]) -> tuple[list[str], list[type[Config]], list[type[Config]]]:
    """Follow the path of a fault: the keys that were written, the sections around the last, those it may hold."""
    keys: list[str] = []
    parents = sections = [cls]
    for part in map(str, location):
        chosen = [section for section in sections if _tag(section) == part]
        if chosen and len(sections) > 1:
            # Pydantic puts the tag of the chosen class into the path; nobody wrote it as a key.
            sections = chosen
        else:
            keys.append(part)
            parents, sections = sections, [inner for section in sections for inner in _sections_of(section, part)]
    return keys, parents, sections


def _sections_of(cls: type[Config], name: str) -> list[type[Config]]:
    """Return the classes that field `name` may hold; several for a union."""
    field = cls.model_fields.get(name)
    candidates = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
    return [c for c in candidates if isinstance(c, type) and issubclass(c, Config)]


def _tag(cls: type[Config]) -> Any:
    """Return the value of `type` that selects this class in a union, or None."""
    field = cls.model_fields.get("type")
    return field.default if field else None


def dump_yaml(config: Config) -> str:
    """Return the configuration as YAML, in the order of its fields."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, default_flow_style=None)
