"""Force errors of a training against the time that it took, from its `metrics.csv`.

    python benchmarks/accuracy/learning_curve.py run/metrics.csv [MINUTES ...]

The time is that of the training itself, over all slices that it was run in.
"""

import argparse
import csv
from pathlib import Path

MINUTES = (10.0, 30.0, 60.0)
FORCES = "validation_forces_mae (meV/Å)"
TIME = "minutes (min)"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("metrics", type=Path)
    parser.add_argument("minutes", nargs="*", type=float, default=MINUTES)
    arguments = parser.parse_args()
    for minutes, error in learning_curve(arguments.metrics, arguments.minutes):
        print(f"{minutes:8.1f} min {error:8.2f} meV/Å")
    return 0


def learning_curve(metrics: Path, minutes: tuple[float, ...] = MINUTES) -> list[tuple[float, float]]:
    """Return (minutes, lowest force MAE of the validation until then in meV/Å) as far as the training went.

    The last time, if the training ended before it, is that of the end.
    """
    with metrics.open(newline="", encoding="utf-8") as lines:
        records = [(float(row[TIME]), float(row[FORCES])) for row in csv.DictReader(lines)]
    curve, end = [], records[-1][0]
    for limit in minutes:
        seen = [error for time, error in records if time <= limit]
        if seen:
            curve.append((min(limit, end), min(seen)))
        if end <= limit:
            break
    return curve


if __name__ == "__main__":
    raise SystemExit(main())
