"""Extended XYZ, cut into frames before ASE parses each: so every fault has a frame number and a line.

ASE alone drops columns that `Properties` does not name and cannot say which frame of a file is at fault.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import ase.io
from ase import Atoms

from panna_plus.errors import DataError, require

_PROPERTIES = re.compile(r'(?:^|\s)Properties\s*=\s*"?([^\s"]+)')
_PLAIN_XYZ_COLUMNS = 4


@dataclass(frozen=True)
class Block:
    """The lines of one frame: atom count, comment, atoms."""

    path: str
    number: int
    first_line: int
    lines: list[str]

    @property
    def where(self) -> str:
        return f"{self.path} frame {self.number} (counted from 0; line {self.first_line})"


def read_extended_xyz(text: str, path: str) -> Iterator[Atoms]:
    """Yield the frames of an extended XYZ text.

    Raises
    ------
    DataError
        Naming `path`, frame and line where the text is truncated or malformed.
    """
    for block in split_blocks(text, path):
        check_columns(block)
        yield parse_block(block)


def split_blocks(text: str, path: str) -> Iterator[Block]:
    """Cut the text at its atom counts; blank lines between frames are skipped."""
    lines = text.lstrip("\ufeff").replace("\r\n", "\n").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    position, number = 0, 0
    while position < len(lines):
        if not lines[position].strip():
            position += 1
            continue
        n_atoms = atom_count(lines, position, f"{path} frame {number} (counted from 0; line {position + 1})")
        yield Block(path, number, position + 1, lines[position : position + 2 + n_atoms])
        position, number = position + 2 + n_atoms, number + 1


def atom_count(lines: list[str], position: int, where: str) -> int:
    """Return the atom count at a line after checking that so many lines follow."""
    text = lines[position].strip()
    require(text.isdecimal(), DataError, f"{where}: expected the number of atoms, found '{text:.60}'")
    require(len(text) < 12, DataError, f"{where}: {text:.30}... is no possible number of atoms")
    n_atoms, left = int(text), len(lines) - position - 2
    require(n_atoms > 0, DataError, f"{where}: the frame holds no atoms: remove it")
    require(
        n_atoms <= left,
        DataError,
        f"{where}: {n_atoms} atoms announced, only {max(left, 0)} lines follow: is the file truncated?",
    )
    return n_atoms


def check_columns(block: Block) -> None:
    """Compare the number of columns with what `Properties` announces."""
    match = _PROPERTIES.search(block.lines[1])
    expected = count_columns(match[1], block.where) if match else _PLAIN_XYZ_COLUMNS
    for offset, line in enumerate(block.lines[2:]):
        found = len(line.split())
        if found != expected:
            reason = f"Properties={match[1]}" if match else "a comment line without Properties"
            raise DataError(
                f"{block.where}: {expected} columns expected from {reason}, found {found} in line "
                f"{block.first_line + 2 + offset}: '{line.strip():.60}'"
            )


def count_columns(properties: str, where: str) -> int:
    """Return how many columns `name:type:count` triples announce; names must differ."""
    parts = properties.split(":")
    names, counts = parts[0::3], parts[2::3]
    is_valid = len(parts) % 3 == 0 and all(c.isdecimal() and len(c) < 6 for c in counts)
    require(is_valid, DataError, f"{where}: Properties must be name:type:count triples, found '{properties:.80}'")
    repeated = sorted({n for n in names if names.count(n) > 1})
    require(not repeated, DataError, f"{where}: Properties names {', '.join(repeated)} twice")
    return sum(int(c) for c in counts)


def parse_block(block: Block) -> Atoms:
    """Parse one frame with ASE."""
    try:
        return next(ase.io.iread(io.StringIO("\n".join(block.lines) + "\n"), format="extxyz"))
    except Exception as error:  # ASE's parser raises KeyError, ValueError, IndexError, OSError and others
        hint = "; write it as 9 numbers, or under the name REF_stress" if "stress" in str(error) else ""
        detail = f"unknown element {error}" if isinstance(error, KeyError) else f"{error}"
        raise DataError(f"{block.where}: not readable as extended XYZ: {detail}{hint}") from error
