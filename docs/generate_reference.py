"""Write reference/configuration.md and reference/cli.md from the code: `python docs/generate_reference.py`.

A test compares the pages with what this script makes, so they cannot drift from the options.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from panna_plus.commands.main import build_parser
from panna_plus.config import Config
from panna_plus.families.panna.config import BpConfig
from panna_plus.families.so3krates.config import So3kratesConfig
from panna_plus.training.config import run_config_class

FOLDER = Path(__file__).parent / "reference"
CONFIGURATION_HEAD = """\
# Configuration

The file that `panna-plus init` writes and `panna-plus train` reads: YAML, one section per part. An option that is left
out has its default; one that does not exist is refused, with the nearest one that does. `--set` changes single options:
`panna-plus train config.yaml --set training.epochs=100`. Units are eV and Å.

Made from the code by `python docs/generate_reference.py`.
"""
COMMANDS_HEAD = """\
# Commands

Every command explains itself with `--help`. Exit codes: 0 success, 1 other error, 2 wrong options or configuration,
3 unusable data, 4 unusable model file, 5 a number that cannot be right, 6 the operating system refused (disk full, no
permission), 130 interrupted. `--debug` shows the traceback of an error.

Made from the code by `python docs/generate_reference.py`.
"""


def configuration_page() -> str:
    """Return the page of all options of a configuration file."""
    sections = [*sections_of(run_config_class("panna"), ""), ("model.descriptor, with type: bp", BpConfig)]
    sections += [(f"{path}, with family: so3krates", s) for path, s in sections_of(So3kratesConfig, "model")]
    parts = [
        f"\n## {f'`{path}`' if path else 'Top level'}\n\n{about(section)}\n\n{table(section)}"
        for path, section in sections
    ]
    return CONFIGURATION_HEAD + "".join(parts)


def about(section: type[Config]) -> str:
    """Return the docstring of a section, which classes made for one family take from their base."""
    return next(c.__doc__ for c in section.__mro__ if c.__doc__)


def sections_of(section: type[Config], path: str) -> Iterator[tuple[str, type[Config]]]:
    """Yield a section and those below it with their paths; of alternatives only the default one."""
    yield path, section
    for name, field in section.model_fields.items():
        default = default_of(field)
        below = type(default) if isinstance(default, Config) else field.annotation
        if isinstance(below, type) and issubclass(below, Config):
            yield from sections_of(below, f"{path}.{name}" if path else name)


def default_of(field: FieldInfo) -> Any:
    """Return the default, `PydanticUndefined` where a value is required."""
    return field.get_default(call_default_factory=True)


def table(section: type[Config]) -> str:
    """Return the options of one section as a markdown table."""
    rows = [
        f"| `{name}` | {shown_default(field)} | {meaning(field)} |\n" for name, field in section.model_fields.items()
    ]
    return "| option | default | meaning |\n|---|---|---|\n" + "".join(rows)


def shown_default(field: FieldInfo) -> str:
    """Return what the table says about the default of an option."""
    default = default_of(field)
    if isinstance(default, Config):
        return "see below"
    return "required" if default is PydanticUndefined else f"`{as_yaml(default)}`"


def meaning(field: FieldInfo) -> str:
    """Return the description of an option and, unless it names them, its choices."""
    default = default_of(field)
    text = field.description or (about(type(default)) if isinstance(default, Config) else "")
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    if len(choices) > 1 and not all(str(choice) in text for choice in choices):
        text = f"{text.rstrip('.')}; one of {', '.join(f'`{choice}`' for choice in choices)}"
    return text.replace("|", "\\|")


def as_yaml(value: Any) -> str:
    """Return a default as it stands in the file."""
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=1000)
    return text.removesuffix("\n").removesuffix("...").strip()


def commands_page() -> str:
    """Return the page of all commands."""
    return COMMANDS_HEAD + "".join(command_sections(build_parser(), "panna-plus"))


def command_sections(parser: argparse.ArgumentParser, name: str) -> Iterator[str]:
    """Yield a section for each command below a parser."""
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        for word, below in action.choices.items():
            full_name = f"{name} {word}"
            has_more = any(isinstance(a, argparse._SubParsersAction) for a in below._actions)
            if not has_more:
                yield command_section(below, full_name)
            yield from command_sections(below, full_name)


def command_section(parser: argparse.ArgumentParser, name: str) -> str:
    """Return one command: what it does and its arguments."""
    rows = [
        f"| {argument_name(action)} | {help_text(action)} |\n"
        for action in parser._actions
        if "--help" not in action.option_strings and "--debug" not in action.option_strings
    ]
    parts = [f"\n## `{name}`\n"]
    if parser.description:
        parts.append(f"{parser.description}\n")
    if rows:
        parts.append(f"| argument | meaning |\n|---|---|\n{''.join(rows)}")
    return "\n".join(parts)


def help_text(action: argparse.Action) -> str:
    """Return the help of an argument with its default filled in."""
    text = (action.help or "").replace("%(default)s", str(action.default))
    return text.replace("%%", "%").replace("|", "\\|")


def argument_name(action: argparse.Action) -> str:
    """Return an argument as it is typed."""
    value = ""
    if action.nargs != 0:
        value = action.metavar or ("\\|".join(action.choices) if action.choices else action.dest.upper())
    more = " ..." if action.nargs == "+" else ""
    if not action.option_strings:
        return f"`{value}{more}`"
    names = ", ".join(f"`{option}`" for option in action.option_strings)
    return f"{names} `{value}{more}`" if value else names


PAGES = {"configuration.md": configuration_page, "cli.md": commands_page}


def main() -> None:
    """Write all pages."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
