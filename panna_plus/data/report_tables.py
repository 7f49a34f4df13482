"""The data report as tables on the terminal."""

from collections.abc import Iterable

import numpy as np
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from panna_plus.conventions import GPA_PER_EV_PER_CUBIC_ANGSTROM
from panna_plus.data.frame import LABELS
from panna_plus.data.pairs import SEARCH_RADIUS
from panna_plus.data.report import DataReport, SplitSummary

_MAX_CONFIG_TYPES = 12
_MAX_ELEMENTS = 10


def render(report: DataReport) -> RenderableType:
    """Return the report for `rich.console.Console.print`."""
    sections = [
        _split_section(report),
        _label_section(report),
        _energy_section(report),
        _distance_section(report),
        *_config_type_sections(report),
    ]
    return Group(*sections, _neighbor_line(report), *_warning_lines(report))


def _section(title: str, table: Table, caption: str = "") -> Group:
    """Put title and caption outside the table: inside they wrap at the table's width."""
    below = [Text(caption, style="italic")] if caption else []
    return Group(Text(title, style="bold"), table, *below, Text())


def _table(columns: Iterable[str]) -> Table:
    table = Table()
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    return table


def _split_section(report: DataReport) -> Group:
    table = _table(["split", "frames", "atoms", "E/atom (eV)", "F rms (eV/Å)", "largest |F|", "stress max (GPa)"])
    for s in report.splits:
        table.add_row(
            s.name,
            str(s.n_frames),
            str(s.n_atoms),
            _energy_range(s),
            _number(s.force_rms, ".3f"),
            _number(s.force_max, ".2f"),
            _number(s.stress_max * GPA_PER_EV_PER_CUBIC_ANGSTROM, ".2f"),
        )
    elements = ", ".join(f"{symbol} ({count})" for symbol, count in report.elements.items())
    n_isolated = report.n_isolated_atoms
    caption = f"{n_isolated} isolated atom(s) set apart: they are not trained on" if n_isolated else ""
    return _section(f"Data: {elements} atoms for training", table, caption)


def _energy_range(split: SplitSummary) -> str:
    low, high = split.energy_per_atom
    return "-" if np.isnan(low) else f"{low:.4f} to {high:.4f}"


def _number(value: float, form: str) -> str:
    return "-" if np.isnan(value) else format(value, form)


def _label_section(report: DataReport) -> Group:
    """Found of all, per split: what is missing is masked in training, and this is where it is said."""
    table = _table(["label", *(s.name for s in report.splits), "from key"])
    for label in LABELS:
        cells = [f"{s.n_labels[label]} / {s.n_frames}" if s.n_frames else "-" for s in report.splits]
        keys = ", ".join(escape(key) for key in report.keys[label])
        table.add_row(label, *cells, keys or "not found")
    is_partial = any(0 < s.n_labels[label] < s.n_frames for s in report.splits for label in LABELS)
    caption = "Frames without a label are left out of that term of the loss." if is_partial else ""
    return _section("Labels: found / frames", table, caption)


def _energy_section(report: DataReport) -> Group:
    energies = report.reference_energies
    table = _table(["element", "E0 (eV)", "source"])
    for symbol, value in energies.values.items():
        table.add_row(symbol, f"{value:.6f}", energies.sources[symbol])
    return _section("Reference energies of lone atoms", table, _energy_caption(report))


def _energy_caption(report: DataReport) -> str:
    energies = report.reference_energies
    if np.isnan(energies.residual_rms):
        return "No energies in the training frames."
    fit = f"Fit: rank {energies.rank} of {energies.n_fitted} elements. " if energies.n_fitted else ""
    left = f"{energies.residual_rms:.4f} rms, {energies.residual_max:.4f} max"
    return f"{fit}Left for the network (eV/atom): {left}."


def _distance_section(report: DataReport) -> Group:
    elements = list(report.elements)[:_MAX_ELEMENTS]
    table = _table(["", *elements])
    for row, symbol in enumerate(elements):
        cells = report.pairs.shortest[row, : len(elements)]
        table.add_row(symbol, *(f"{d:.3f}" if d > 0.0 else f"> {SEARCH_RADIUS:g}" for d in cells))
    n_hidden = len(report.elements) - len(elements)
    caption = f"{n_hidden} more elements are not shown" if n_hidden else ""
    return _section("Shortest distances in training (Å)", table, caption)


def _config_type_sections(report: DataReport) -> list[Group]:
    names = list({name: None for s in report.splits for name in s.config_types})
    if not names:
        return []
    table = _table(["config_type", *(s.name for s in report.splits)])
    for name in names[:_MAX_CONFIG_TYPES]:
        table.add_row(escape(name), *(str(s.config_types.get(name, 0)) for s in report.splits))
    n_hidden = len(names) - _MAX_CONFIG_TYPES
    return [_section("Frames per config_type", table, f"{n_hidden} more are not shown" if n_hidden > 0 else "")]


def _neighbor_line(report: DataReport) -> Text:
    n_atoms = sum(s.n_atoms for s in report.splits if s.name == "train")
    counts = ", ".join(f"{report.neighbors_within(r):.1f} within {r:g} Å" for r in (4.0, 5.0, 6.0))
    n_pairs = n_atoms * report.neighbors_within(5.0)
    return Text(f"Neighbors of a training atom: {counts}; about {n_pairs:,.0f} pairs in all within 5 Å.")


def _warning_lines(report: DataReport) -> list[Text]:
    if not report.warnings:
        return [Text("No warnings.", style="green")]
    return [Text(f"Warning: {warning}", style="yellow") for warning in report.warnings]
