"""Tables of what was measured, in plain text, and a figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

# What the kernels are meant to reach at a million atoms with the list kept, and beside one core of the CPU.
ASKED_RATE, AIMED_RATE = 2.5e7, 4e7
ASKED_RATIO = 100
MANY_ATOMS = 900_000


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table with aligned columns, the first one to the left."""
    cells = [[str(word) for word in row] for row in (head, *rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(head))]
    lines = []
    for first, *others in cells:
        words = [word.rjust(width) for word, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *words]))
    return "\n".join(["", title, "-" * len(lines[0]), lines[0], *lines[1:]])


def number(value: float | None, form: str = ".3g") -> str:
    return "-" if value is None else format(value, form)


def of_agreement(found: dict[str, Any]) -> str:
    head = ("model", "precision", "kernels", "forces", "energy", "virial", "asked", "one core, µs", "core / device")
    rows = []
    for row in found["rows"]:
        ratio = row["one_core_us"] / row["one_kept_evaluation_us"]
        errors = [number(row[f"{what}_difference"], ".0e") for what in ("force", "energy", "virial")]
        verdict = f"{row['asked']:.0e}" + ("" if row["agrees"] else " MISSED")
        core = number(row["one_core_us"])
        rows.append((row["model"], row["precision"], row["kernels"], *errors, verdict, core, number(ratio)))
    title = f"Device against CPU in double precision, {found['rows'][0]['atoms']:.0f} atoms; differences are relative"
    return table(title, head, rows)


def of_sizes(found: dict[str, Any]) -> str:
    head = ("model", "precision", "atoms", "step", "list", "new", "kept", "gather", "integrate", "one kept", "1/s")
    parts = ("step_us", "list_us", "evaluate_new_us", "evaluate_us", "gather_us", "integrate_us")
    rows = [
        (
            row["model"],
            row["precision"],
            f"{row['atoms']:.0f}",
            *(number(row[part] * 1e3) for part in parts),
            number(row["one_kept_evaluation_us"] and row["one_kept_evaluation_us"] * 1e3),
            number(row["atom_steps_per_s"], ".2e"),
        )
        for row in found["rows"]
    ]
    title = "ns per atom and step; new, kept: evaluations with a new list and with the old one; one kept: of one such"
    lost = [f"not run: {what}: {reason}" for what, reason in found["left_out"].items()]
    return "\n".join([table(title, head, rows), *lost])


def of_conservation(found: dict[str, Any]) -> str:
    head = ("device", "precision", "atoms", "steps", "drift, meV/atom/ps", "noise, meV/atom", "K")
    names = ("energy_drift_meV_per_atom_and_ps", "energy_noise_meV_per_atom", "temperature_K")
    rows = [
        (r["device"], r["precision"], f"{r['atoms']:.0f}", f"{r['steps']:.0f}", *(number(r[name]) for name in names))
        for r in found["rows"]
    ]
    return table(f"Total energy, model {found['rows'][0]['model']}, 1 fs", head, rows)


def of_kernels(found: dict[str, Any]) -> str:
    texts = []
    for model, one in found.items():
        head = ("kernel", "kind", "calls", "ns per atom", "registers", "occupancy, %")
        keys = ("name", "kind", "calls", "ns_per_atom", "registers", "occupancy_percent")
        rows = [[shown(row[key]) for key in keys] for row in one["rows"]]
        texts.append(table(f"{model}, {one['atoms']} atoms: {one['kernels_ns_per_atom']:.1f} ns per atom", head, rows))
        if "floor_ns_per_atom" in one:
            texts.append(
                f"floor of 9000 warp instructions per atom: {one['floor_ns_per_atom']:.1f} ns; "
                f"reached: {one['fraction_of_floor']:.0%}"
            )
    return "\n".join(texts)


def of_instructions(found: dict[str, Any]) -> str:
    rows = [(f"{model}: {name}", number(n, ".0f")) for model, kernels in found.items() for name, n in kernels.items()]
    return table("Executed warp instructions per atom and evaluation", ("kernel", "warp instructions"), rows)


def of_code(found: dict[str, Any]) -> str:
    rows = []
    for name, counts in found.items():
        some = [f"{opcode} {n}" for opcode, n in counts.items() if opcode != "all"]
        rows.append((name, counts["all"], ", ".join(some)))
    return table("Instructions of the compiled kernels", ("kernel", "all", "some"), rows)


def of_pairs(found: dict[str, Any]) -> str:
    return "\n".join(["", *(f"{name}: {shown(value)}" for name, value in found.items())])


def of_lammps(found: dict[str, Any]) -> str:
    head = list(found["rows"][0])
    rows = [[shown(row[key]) for key in head] for row in found["rows"]]
    return table("LAMMPS, one rank, µs per atom and step", head, rows)


def shown(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)


def goals(result: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Compare what was measured with what was asked: goal, found, whether it holds."""
    found = []
    for row in result.get("sizes", {}).get("rows", []):
        is_asked = row["model"] in ("case A", "mlearn small") and row["precision"] == "mixed"
        if is_asked and row["atoms"] > MANY_ATOMS and row["kept_atom_steps_per_s"]:
            rate = row["kept_atom_steps_per_s"]
            goal = f"{ASKED_RATE:.1e} atom-steps/s, aim {AIMED_RATE:.0e}"
            found.append(
                (f"{row['model']}, {row['atoms']:.0f} atoms, list kept: {goal}", f"{rate:.2e}", rate >= ASKED_RATE)
            )
            core = core_time(result, row["model"])
            if core:
                ratio = core / row["one_kept_evaluation_us"]
                found.append((f"{row['model']}: {ASKED_RATIO} times one core", f"{ratio:.0f}", ratio >= ASKED_RATIO))
    if "rows" in result.get("agreement", {}):
        worst = max(row["worst"] / row["asked"] for row in result["agreement"]["rows"])
        found.append(("GPU equals CPU", f"{worst:.2g} of the tolerance", worst <= 1))
    if "is_clean" in result.get("sanitizer", {}):
        found.append(("compute-sanitizer clean", str(result["sanitizer"]["is_clean"]), result["sanitizer"]["is_clean"]))
    return found


def core_time(result: dict[str, Any], model: str) -> float | None:
    rows = result.get("agreement", {}).get("rows", [])
    times = [row["one_core_us"] for row in rows if row["model"] == model and row["precision"] == "mixed"]
    return min(times, default=None)


def of_goals(result: dict[str, Any]) -> str:
    rows = [(goal, value, "yes" if holds else "NO") for goal, value, holds in goals(result)]
    return table("Goals", ("goal", "found", "holds"), rows) if rows else ""


def of_angular_cutoffs(found: dict[str, Any]) -> str:
    head = ("angular cutoff, Å", "neighbors inside", "ns per atom")
    rows = [(r["angstrom"], number(r["neighbors"]), number(r["kept_us"] and r["kept_us"] * 1e3)) for r in found["rows"]]
    return table(f"Case A with other angular cutoffs, {found['rows'][0]['atoms']:.0f} atoms, list kept", head, rows)


def of_operators(found: dict[str, Any]) -> str:
    head = ("operators", "descriptor", "backward", "tangent", "differs by")
    parts = head[1:4]
    rows = []
    for row in found["rows"]:
        worst = max(row[f"{part}_difference"] for part in parts)
        rows.append((row["name"], *(number(row[f"{part}_us"] * 1e3) for part in parts), number(worst, ".0e")))
    lines = [table(f"Operators of training on {found['device']}, {found['atoms']} atoms, ns per atom", head, rows)]
    for row in found["training"]:
        rate = f"{row['frames_per_second']:.0f} frames of 64 atoms per second"
        lines.append(f"steps of training, {row['precision']}: {rate}")
    return "\n".join(lines)


TABLES = {
    "agreement": of_agreement,
    "sizes": of_sizes,
    "conservation": of_conservation,
    "kernels": of_kernels,
    "executed_instructions": of_instructions,
    "compiled_instructions": of_code,
    "angular_cutoff": of_angular_cutoffs,
    "operators": of_operators,
    "lammps": of_lammps,
}


def text_of(name: str, found: dict[str, Any]) -> str:
    """Return what is printed of one part of the benchmark."""
    if "skipped" in found:
        return f"{name}: skipped: {found['skipped']}"
    if "failed" not in found:
        return TABLES.get(name, of_pairs)(found)
    measured = [TABLES[name](found)] if found.get("rows") else []
    return "\n".join([*measured, f"{name}: failed: {found['failed']}"])


def draw(rows: Sequence[dict[str, Any]], title: str, path: Path) -> None:
    """Write a figure of time against atoms; needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    for name in dict.fromkeys((row["model"], row["precision"]) for row in rows):
        mine = [row for row in rows if (row["model"], row["precision"]) == name]
        atoms = [row["atoms"] for row in mine]
        (line,) = axes.plot(atoms, [row["step_us"] for row in mine], "o-", label=", ".join(name))
        kept = [row["one_kept_evaluation_us"] or float("nan") for row in mine]
        axes.plot(atoms, kept, "o--", color=line.get_color(), markerfacecolor="white")
    axes.axhline(1e6 / ASKED_RATE, color="gray", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("atoms")
    axes.set_ylabel("µs per atom and step (dashed: model with the list kept)")
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)
