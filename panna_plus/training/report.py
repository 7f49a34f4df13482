"""Results of a run in files: metrics, error tables, and what the model file records of its training."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from panna_plus.training.metrics import QUANTITIES, UNITS, table_rows

Tables = dict[str, dict]


def metrics_csv(history: Sequence[Mapping[str, Any]]) -> str:
    """Return the records of all validations as CSV; the first line names the columns and their units."""
    if not history:
        return ""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = list(history[0])
    writer.writerow([f"{n} ({unit})" if (unit := column_unit(n)) else n for n in names])
    for record in history:
        writer.writerow(["" if record[n] is None else _csv_value(record[n]) for n in names])
    return buffer.getvalue()


def column_unit(name: str) -> str:
    """Return the unit of a column of the records, "" where it has none."""
    if name == "minutes":
        return "min"
    return next((UNITS[q] for q in QUANTITIES if f"_{q}_" in name), "")


def _csv_value(value: Any) -> str:
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def quantities_in(tables: Tables) -> list[str]:
    """Return the quantities that some split has labels for."""
    return [q for q in QUANTITIES if any(q in table["all"] for table in tables.values())]


def errors_json(tables: Tables) -> str:
    """Return the tables of all splits as JSON."""
    return json.dumps({"units": UNITS, "splits": tables}, indent=1, ensure_ascii=False) + "\n"


def header_cells(quantities: Sequence[str]) -> list[str]:
    """Return the column names of `table_rows`."""
    columns = ["group", "frames"]
    for quantity in quantities:
        columns += [f"{quantity} {name} ({UNITS[quantity]})" for name in ("MAE", "RMSE", "max")]
    return columns


def errors_markdown(tables: Tables) -> str:
    """Return the tables of all splits as markdown."""
    quantities = quantities_in(tables)
    header = header_cells(quantities)
    lines = ["# Errors", "", "Energy per atom, forces and stress per component. A dash: no labels.", ""]
    for split, table in tables.items():
        lines += [f"## {split}", "", _markdown_row(header), _markdown_row(["---"] * len(header))]
        lines += [_markdown_row(row) for row in table_rows(table, quantities)] + [""]
    return "\n".join(lines)


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def card_errors(tables: Tables) -> dict[str, Any]:
    """Return the overall errors of every split for the model's card."""
    return {"units": UNITS, **{split: {"n_frames": t["n_frames"], **t["all"]} for split, t in tables.items()}}
