"""The demo's report: one HTML file that needs no other."""

import base64
import html
from collections.abc import Mapping, Sequence
from itertools import groupby
from string import Template

from criteria import Row

CAPTIONS = {
    "energies": "Energy per atom above isolated atoms, for the test structures, which no training step has seen.",
    "forces": "Every force component of the test structures; inset: distribution of the errors.",
    "learning": "Errors on the validation structures with the averaged weights. The energy counts more in the "
    "last 40 % of the training; the epoch that is best by validation is exported.",
    "conservation": "Total energy per atom at constant energy, its linear fit taken off, for time steps of 1 fs and "
    "2 fs. The integrator is of second order: on a smooth energy surface twice the step makes four times the noise.",
    "distribution": "Radial distribution function of the run at constant energy, and the neighbor shells of the "
    "perfect crystal.",
    "energy_curve": "Energy of diamond between 0.8 and 1.3 times its volume at rest. Lattice constant and bulk "
    "modulus come from Birch-Murnaghan fits through the same twelve volumes.",
}
VERDICTS = {True: ("pass", "✓"), False: ("fail", "✗"), None: ("info", "·")}
PAGE = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
  :root { --ink: #22303c; --muted: #5b6b79; --line: #e3e8ec; --pass: #1a9a86; --fail: #c8402f; }
  * { box-sizing: border-box; }
  body { margin: 0 auto; max-width: 68rem; padding: 3rem 1.5rem; color: var(--ink); background: #fff;
         font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
  h1 { margin: 0; font-size: 2rem; letter-spacing: -0.01em; }
  h2 { margin: 3rem 0 0.75rem; font-size: 1.25rem; }
  .lead { margin: 0.4rem 0 1.5rem; color: var(--muted); }
  .verdict { display: inline-block; padding: 0.3rem 0.9rem; border-radius: 2rem; color: #fff; font-weight: 600; }
  .verdict.pass { background: var(--pass); } .verdict.fail { background: var(--fail); }
  .wide { overflow-x: auto; }
  table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
  th, td { padding: 0.4rem 0.9rem 0.4rem 0; text-align: left; border-bottom: 1px solid var(--line); }
  th { color: var(--muted); font-size: 0.85rem; font-weight: 500; }
  tr.section td { padding-top: 1.3rem; font-weight: 600; }
  td.pass { color: var(--pass); font-weight: 700; } td.fail { color: var(--fail); font-weight: 700; }
  td.info { color: var(--muted); }
  .figures { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); }
  figure { margin: 0; padding: 1rem; border: 1px solid var(--line); border-radius: 0.6rem; }
  figure img { width: 100%; height: auto; display: block; }
  figcaption { margin-top: 0.6rem; color: var(--muted); font-size: 0.9rem; }
  pre { padding: 1rem 1.2rem; overflow-x: auto; background: #f5f7f9; border-radius: 0.6rem;
        font: 13.5px/1.5 ui-monospace, Menlo, Consolas, monospace; }
</style>
</head>
<body>
<h1>$title</h1>
<p class="lead">$subtitle</p>
<span class="verdict $verdict_class">$verdict</span>
<h2>Numbers</h2>
<div class="wide"><table>
<thead><tr><th></th><th>value</th><th>reference</th><th>criterion</th><th></th></tr></thead>
<tbody>
$rows
</tbody></table></div>
<h2>Figures</h2>
<div class="figures">
$figures
</div>
<h2>Time</h2>
<p>$times</p>
<h2>The model file</h2>
<pre>$card</pre>
<h2>Use it</h2>
<pre>$usage</pre>
</body>
</html>
"""
)


def report_page(
    title: str,
    subtitle: str,
    rows: Sequence[Row],
    figures: Mapping[str, bytes],
    times: Mapping[str, float],
    card: str,
    usage: str,
) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    rows : sequence of Row
    figures : mapping of panel name to PNG bytes
    times : mapping of step to seconds
    card, usage : str
        Plain text.
    """
    failed = [row for row in rows if row.passed is False]
    count = sum(row.passed is not None for row in rows)
    return PAGE.substitute(
        title=html.escape(title),
        subtitle=html.escape(subtitle),
        verdict_class="fail" if failed else "pass",
        verdict=f"{len(failed)} of {count} criteria failed" if failed else f"all {count} criteria hold",
        rows=table_body(rows),
        figures="\n".join(figure_block(name, content) for name, content in figures.items()),
        times=html.escape(", ".join(f"{step} {seconds:.0f} s" for step, seconds in times.items())),
        card=html.escape(card.strip()),
        usage=html.escape(usage.strip()),
    )


def table_body(rows: Sequence[Row]) -> str:
    """Return the rows of the table, each section under its name."""
    lines = []
    for section, members in groupby(rows, key=lambda row: row.section):
        lines.append(f'<tr class="section"><td colspan="5">{html.escape(section)}</td></tr>')
        for row in members:
            name, mark = VERDICTS[row.passed]
            cells = "".join(f"<td>{html.escape(t)}</td>" for t in (row.name, row.value, row.reference, row.criterion))
            lines.append(f'<tr>{cells}<td class="{name}">{mark}</td></tr>')
    return "\n".join(lines)


def figure_block(name: str, content: bytes) -> str:
    """Return a figure with its caption, the image inside the page."""
    data = base64.b64encode(content).decode("ascii")
    caption = html.escape(CAPTIONS[name])
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}"><figcaption>{caption}</figcaption></figure>'
    )
