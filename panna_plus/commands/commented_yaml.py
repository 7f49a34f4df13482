"""A configuration as YAML that explains itself: every option with its description above it."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from panna_plus.config import Config

_WIDTH = 100
_INDENT = "  "


def commented_yaml(config: Config, header: str = "", remarks: Mapping[str, str] | None = None) -> str:
    """Render a configuration with comments; reading the text back gives an equal configuration.

    Parameters
    ----------
    config : Config
    header : str
        Comment at the top.
    remarks : mapping of "section.option" to str, optional
        What to add to the description of an option, such as why its value was chosen.
    """
    lines = [*_comment(header, ""), *([""] if header else []), *_section(config, "", "", remarks or {})]
    return "\n".join(lines) + "\n"


def _section(config: Config, path: str, indent: str, remarks: Mapping[str, str]) -> Iterator[str]:
    for name, field in type(config).model_fields.items():
        value, full_name = getattr(config, name), f"{path}{name}"
        is_section = isinstance(value, Config)
        if is_section and not indent:
            yield ""
        yield from _comment(_explanation(field, remarks.get(full_name, "")), indent)
        if is_section:
            yield f"{indent}{name}:"
            yield from _section(value, f"{full_name}.", indent + _INDENT, remarks)
        else:
            yield f"{indent}{name}: {_yaml_value(config, name)}"


def _explanation(field: FieldInfo, remark: str) -> str:
    """Join the description, the values that a choice allows, and the remark."""
    description = field.description or ""
    choices = _choices(field.annotation)
    allowed = "" if all(str(c) in description for c in choices) else f"One of {', '.join(map(str, choices))}"
    return ". ".join(part.rstrip(".") for part in (description, allowed, remark) if part)


def _choices(annotation: Any) -> tuple:
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    return choices if len(choices) > 1 else ()


def _comment(text: str, indent: str) -> list[str]:
    wrapped = [textwrap.wrap(line, _WIDTH - len(indent)) or [""] for line in text.splitlines()]
    return [f"{indent}# {line}".rstrip() for lines in wrapped for line in lines]


def _yaml_value(config: Config, name: str) -> str:
    value = config.model_dump(mode="json", include={name})[name]
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=float("inf"))
    return text.removesuffix("\n").removesuffix("...").strip()
