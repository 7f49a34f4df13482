"""The demo's modules are scripts beside each other: make them importable as the demo itself sees them."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples" / "silicon"))
