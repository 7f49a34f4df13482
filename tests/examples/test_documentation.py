"""What the pages show must exist: commands, options, files, Python that compiles, tables that are up to date."""

import argparse
import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from panna_plus.commands.main import build_parser

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)


def names(pages):
    return [str(page.relative_to(ROOT)) for page in pages]


def blocks(page, language):
    return [body for kind, body in BLOCK.findall(page.read_text()) if kind == language]


def shell_lines(page):
    """Commands in code blocks without a language and in inline code."""
    text = page.read_text()
    lines = [line for body in blocks(page, "") for line in body.splitlines()]
    lines += re.findall(r"`(panna-plus [^`]+)`", BLOCK.sub("", text))
    return [line.split("#")[0].strip() for line in lines]


def reference_generator():
    spec = importlib.util.spec_from_file_location("generate_reference", ROOT / "docs" / "generate_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if not target.startswith(("http://", "https://", "#")):
            assert (page.parent / target.split("#")[0]).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_python_compiles(page):
    for body in blocks(page, "python"):
        compile(body, str(page), "exec")


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_commands_are_understood(page):
    parser = build_parser()
    for line in shell_lines(page):
        if not line.startswith("panna-plus "):
            continue
        words = shlex.split(line)[1:]
        try:
            parser.parse_args(words)
        except SystemExit as stop:
            # A sentence may name a command without its arguments, but the command must be there.
            assert stop.code == 0 or len(words) <= 2, line
            assert words[0] in subcommands(parser), line


def subcommands(parser):
    (action,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return action.choices


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    for line in shell_lines(page):
        if re.match(r"make [a-z-]+$", line):
            assert line.split()[1] in targets


@pytest.mark.parametrize("name", ["configuration.md", "cli.md"])
def test_reference_pages_are_up_to_date(name):
    made = reference_generator().PAGES[name]()
    found = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert made == found, "run python docs/generate_reference.py"


def test_the_figure_of_the_readme_is_small():
    assert 50_000 < (ROOT / "docs" / "images" / "summary.png").stat().st_size < 300_000
