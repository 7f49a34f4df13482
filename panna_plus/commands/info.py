"""`panna-plus info model.pt`: what a model file holds, on one screen. Nothing in the file is executed."""

import argparse
import json
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add `info` to the command line."""
    parser = subparsers.add_parser(
        "info",
        help="show what a model.pt holds",
        description="Show the card of a model file after checking that the file is whole. Nothing in it is executed.",
    )
    parser.add_argument("model", help="model file")
    parser.add_argument("--json", action="store_true", help="print the whole card as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the card; return the exit code."""
    from panna_plus.model_file import read_model

    model = read_model(args.model)
    if args.json:
        print(json.dumps(model.card, indent=1, ensure_ascii=False))
        return 0
    print(card_text(model.card, Path(args.model)))
    return 0


def card_text(card: dict[str, Any], path: Path) -> str:
    """Return the card as lines of a name and a value."""
    lines = [f"{path} ({path.stat().st_size / 1024:.0f} KiB, format {card['format_version']}, intact)"]
    sections = (
        main_rows(card),
        member_rows(card),
        chemistry_rows(card),
        error_rows(card),
        engine_rows(card),
        provenance_rows(card),
    )
    rows = [row for section in sections for row in section]
    width = max(len(name) for name, _ in rows) + 2
    lines += [f"  {name:<{width}}{value}" for name, value in rows]
    return "\n".join(lines)


def main_rows(card: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what the potential is."""
    parameters = {name: value for name, value in card["family_parameters"].items() if name != "members"}
    family = f"{card['family']} ({compact(parameters)})"
    rows = [("family", family), ("elements", " ".join(card["elements"])), ("cutoff", f"{card['cutoff']:g} Å")]
    if card.get("reach", card["cutoff"]) != card["cutoff"]:
        rows.append(("reach", f"{card['reach']:g} Å"))
    if "n_parameters" in card:
        rows.append(("parameters", f"{card['n_parameters']} ({card.get('dtype', 'unknown precision')})"))
    return rows


def compact(parameters: dict[str, Any]) -> str:
    """Return nested parameters as "a b, c d"; lists that are equal for all elements appear once."""
    parts = []
    for name, value in parameters.items():
        if isinstance(value, dict):
            distinct = {json.dumps(v): v for v in value.values()}
            value = next(iter(distinct.values())) if len(distinct) == 1 else f"({compact(value)})"
        shown = " ".join(map(str, value)) if isinstance(value, list) else value
        parts.append(f"{name} {shown}")
    return ", ".join(parts)


def member_rows(card: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the members of a committee: file, weights, and their errors on what they were tested or validated with."""
    rows = []
    for number, member in enumerate(card.get("members", []), 1):
        parts = [member["file"], f"weights {member['weights_sha256'][:12]}", *member_errors(member)]
        rows.append((f"member {number}", ", ".join(parts)))
    return rows


def member_errors(member: dict[str, Any]) -> list[str]:
    """Return the errors on the first of the test, validation and training frames that there are."""
    rows = dict(error_rows(member))
    names = [f"MAE {split}" for split in ("test", "validation", "train") if f"MAE {split}" in rows]
    return [f"{names[0]} {rows[names[0]]}"] if names else []


def chemistry_rows(card: dict[str, Any]) -> list[tuple[str, str]]:
    """Return reference energies and the shortest distances that were trained on."""
    energies = card.get("reference_energies", {})
    distances = card.get("shortest_distances", {})
    rows = []
    if energies and card["family_parameters"].get("lone_atom") != "network":
        rows.append(("lone atom energies", ", ".join(f"{e} {value:.6f} eV" for e, value in energies.items())))
    if distances:
        rows.append(("shortest distances", ", ".join(f"{pair} {d:.3f} Å" for pair, d in distances.items())))
    return rows


def error_rows(card: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the mean absolute errors of every split."""
    errors = card.get("errors", {})
    units = errors.get("units", {})
    rows = []
    for split, table in errors.items():
        if split == "units":
            continue
        parts = [f"{q} {table[q]['mae']:.4g} {unit}" for q, unit in units.items() if q in table]
        rows.append((f"MAE {split}", f"{', '.join(parts) or 'no labels'} ({table.get('n_frames', '?')} frames)"))
    return rows


def engine_rows(card: dict[str, Any]) -> list[tuple[str, str]]:
    """Return how far the native engine was from the potential when the file was written."""
    return [
        (
            f"engine, {precision}",
            f"within {e['energy']:.1e} eV/atom and {e['forces']:.1e} eV/Å of the exact model "
            f"(forces up to {e['largest_force']:.3g} eV/Å)",
        )
        for precision, e in card.get("engine_errors", {}).items()
    ]


def provenance_rows(card: dict[str, Any]) -> list[tuple[str, str]]:
    """Return where the model comes from."""
    provenance = card.get("provenance", {})
    rows = [
        (name.replace("_", " "), f"{value[:16]}..." if name.endswith("_sha256") else str(value))
        for name, value in provenance.items()
        if not isinstance(value, dict)
    ]
    return rows + [("please cite", text) for text in card.get("citation", [])]
