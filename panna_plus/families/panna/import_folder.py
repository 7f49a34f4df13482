"""Import of a PANNA potential folder: one text file of parameters and one file of float32 weights per element.

Both generations of the text file are read: gversion 0 with scalar parameters from which the centers follow, and
gversion 1 with explicit lists. Sections and keys may stand in any order. What the format does not say is an argument:
the regularisation epsilon of the angular functions, a constant of the program that the potential was trained with.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from ase.data import chemical_symbols
from torch import Tensor

from panna_plus.errors import ModelFileError, require
from panna_plus.families.panna.descriptors import MbpDescriptor
from panna_plus.families.panna.model import PannaPotential
from panna_plus.layers.perceptron import DenseLayer

PARAMETERS = "GVECT_PARAMETERS"
COMMON_KEYS = {"eta_rad", "Rc_rad", "RsN_rad", "eta_ang", "Rc_ang", "RsN_ang", "zeta", "ThetasN"}
KEYS = {0: COMMON_KEYS | {"Rs0_rad", "Rs0_ang"}, 1: COMMON_KEYS | {"Rs_rad", "Rs_ang", "Thetas"}}
OPTIONAL_KEYS = {0: {"Rsst_rad", "Rsst_ang"}, 1: {"weights"}}
NETWORK_KEYS = {"Nlayers", "sizes", "file"}
ACTIVATIONS = {"0": "linear", "1": "gaussian", "3": "relu", "4": "tanh"}
MAX_COUNT = 99_999  # of functions, layers or nodes: beyond it a number is a mistake, and would exhaust the memory


@dataclass(frozen=True)
class Value:
    """Text right of an equals sign, with the place it stands at."""

    text: str
    place: str

    def number(self) -> float:
        """Return a single finite number."""
        try:
            value = float(self.text)
        except ValueError:
            value = math.nan
        require(math.isfinite(value), ModelFileError, f"{self.place}: expected a number, found '{self.text}'")
        return value

    def count(self) -> int:
        """Return a single positive integer."""
        is_whole = self.text.isascii() and self.text.isdigit() and len(self.text) <= len(str(MAX_COUNT))
        require(
            is_whole and int(self.text) > 0,
            ModelFileError,
            f"{self.place}: expected a whole number from 1 to {MAX_COUNT}, found '{self.text:.20}'",
        )
        return int(self.text)

    def items(self) -> list["Value"]:
        """Split at the commas of ``a,b`` or ``[a,b]``."""
        inner = self.text
        if inner.startswith("[") and inner.endswith("]"):
            inner = inner[1:-1]
        return [Value(part, self.place) for part in inner.split(",")]

    def numbers(self, n: int) -> list[float]:
        """Return exactly `n` numbers."""
        found = self.items()
        require(len(found) == n, ModelFileError, f"{self.place}: expected {n} numbers, found {len(found)}")
        return [v.number() for v in found]


Section = dict[str, Value]


@dataclass(frozen=True)
class ImportedPotential:
    """A potential made from a folder.

    Attributes
    ----------
    potential : PannaPotential
    gversion : int
        Generation of the text file, 0 or 1.
    notes : list of str
        What the user should know: values that other programs would read in another way.
    """

    potential: PannaPotential
    gversion: int
    notes: list[str] = field(default_factory=list)


def import_folder(folder: str | Path, epsilon: float = 1e-3, file: str = "panna.in") -> ImportedPotential:
    """Build a potential from a PANNA folder.

    Parameters
    ----------
    folder : path
    epsilon : float
        Regularisation of the sine in the angular functions. The folder does not record it: 1e-3 in PANNA 2, 1e-2 in
        PANNA 1 since January 2020, 0 before. A wrong one changes descriptor values by up to 1e-2.
    file : str
        Name of the text file in the folder.

    Returns
    -------
    ImportedPotential
        Offsets are part of the last bias in this format, so the reference energies are 0 and a lone atom has the
        energy of its network.

    Raises
    ------
    ModelFileError
        Naming the file and line that cannot be used.
    """
    require(math.isfinite(epsilon) and epsilon >= 0, ModelFileError, f"epsilon must be 0 or more, found {epsilon}")
    path = Path(folder) / file
    gversion, sections = read_sections(path)
    elements = element_names(sections, path)
    known = {PARAMETERS, *elements}
    for name, section in sections.items():
        require(
            name in known,
            ModelFileError,
            f"'{path}': section [{name}] (with {', '.join(section) or 'no keys'}) belongs to none of the species "
            f"{', '.join(elements)}",
        )
    parameters, notes = descriptor_parameters(sections[PARAMETERS], gversion, epsilon, path)
    descriptor = MbpDescriptor(len(elements), parameters)
    networks = []
    for element in elements:
        require(element in sections, ModelFileError, f"'{path}': species {element} has no section [{element}]")
        networks.append(read_network(sections[element], descriptor.n_features, path, element))
    return ImportedPotential(PannaPotential(elements, descriptor, networks, "network"), gversion, notes)


def read_sections(path: Path) -> tuple[int, dict[str, Section]]:
    """Return the gversion and the keys of every section."""
    gversion, sections = 0, dict[str, Section]()
    current: Section | None = None
    for number, line in enumerate(read_lines(path), 1):
        line, place = "".join(line.split()), f"'{path}' line {number}"
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            current = new_section(line[1:-1], sections, place)
            continue
        key, separator, text = line.partition("=")
        require(
            bool(separator and key and text),
            ModelFileError,
            f"{place}: expected '[section]' or 'key = value', found '{line:.60}'",
        )
        if key == "!gversion":
            require(text in ("0", "1"), ModelFileError, f"{place}: gversion must be 0 or 1, found '{text}'")
            gversion = int(text)
        elif key != "!version":
            if current is None:
                raise ModelFileError(f"{place}: '{key}' stands before the first [section]")
            require(key not in current, ModelFileError, f"{place}: '{key}' is given twice in this section")
            current[key] = Value(text, f"{place}, {key}")
    return gversion, sections


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file; line ends of Windows are as good as others."""
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError as error:
        raise ModelFileError(
            f"there is no '{path}': give the potential folder, and --file if its name differs"
        ) from error
    except OSError as error:
        raise ModelFileError(f"cannot read '{path}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ModelFileError(f"'{path}' is not a text file: {error}") from error


def new_section(name: str, sections: dict[str, Section], place: str) -> Section:
    """Open a section; the one of long-range potentials is refused."""
    require(
        name != "LONG_RANGE",
        ModelFileError,
        f"{place}: [LONG_RANGE] makes this a potential with charge equilibration, which is not supported: only "
        "short-ranged potentials can be imported",
    )
    require(name not in sections, ModelFileError, f"{place}: section [{name}] is given twice")
    return sections.setdefault(name, {})


def element_names(sections: dict[str, Section], path: Path) -> list[str]:
    """Take the species out of the parameter section and return them in the order that the format gives them."""
    require(PARAMETERS in sections, ModelFileError, f"'{path}': section [{PARAMETERS}] is missing")
    section = sections[PARAMETERS]
    species = take(section, "species", path).items()
    n = take(section, "Nspecies", path).count()
    names = [v.text for v in species]
    place = species[0].place
    require(len(names) == n, ModelFileError, f"{place}: expected Nspecies = {n} names, found {len(names)}")
    require(len(set(names)) == n, ModelFileError, f"{place}: a name occurs twice in {','.join(names)}")
    unknown = [name for name in names if name not in chemical_symbols[1:]]
    require(
        not unknown,
        ModelFileError,
        f"{place}: {', '.join(unknown)} is no chemical symbol; rename species and sections to chemical symbols",
    )
    return names


def take(section: Section, key: str, path: Path) -> Value:
    """Take a required value out of a section."""
    require(key in section, ModelFileError, f"'{path}': key '{key}' is missing")
    return section.pop(key)


def refuse_unknown(section: Section, known: set[str], what: str) -> None:
    """Refuse keys that the format does not have."""
    for key, value in section.items():
        require(
            key in known,
            ModelFileError,
            f"{value.place}: unknown key '{key}' in {what}; known there: {', '.join(sorted(known))}",
        )


def descriptor_parameters(
    section: Section, gversion: int, epsilon: float, path: Path
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the arrays of the descriptor, and notes about values that other programs read differently."""
    refuse_unknown(section, KEYS[gversion] | OPTIONAL_KEYS[gversion], f"[{PARAMETERS}] of gversion {gversion}")
    values = {key: take(section, key, path) for key in sorted(KEYS[gversion])}
    n_theta = values["ThetasN"].count()
    parameters = {"angular_epsilon": [epsilon]}
    for kind, suffix in (("radial", "rad"), ("angular", "ang")):
        parameters |= shell_parameters(values, kind, suffix, gversion)
    if gversion == 0:
        parameters["angular_zeta"] = [values["zeta"].number()] * n_theta
        parameters["angular_theta"] = [(b + 0.5) * math.pi / n_theta for b in range(n_theta)]
    else:
        parameters["angular_zeta"] = values["zeta"].numbers(n_theta)
        parameters["angular_theta"] = values["Thetas"].numbers(n_theta)
    check_ranges(parameters, values)
    arrays = {name: torch.tensor(v, dtype=torch.float64) for name, v in parameters.items()}
    return arrays, [*step_notes(section, parameters), *exponent_notes(parameters, values)]


def shell_parameters(values: Section, kind: str, suffix: str, gversion: int) -> dict[str, list[float]]:
    """Return cutoff, widths and centers of the radial or the angular functions."""
    n, cutoff = values[f"RsN_{suffix}"].count(), values[f"Rc_{suffix}"].number()
    if gversion == 0:
        start = values[f"Rs0_{suffix}"].number()
        eta = [values[f"eta_{suffix}"].number()] * n
        centers = [start + k * (cutoff - start) / n for k in range(n)]
    else:
        eta, centers = values[f"eta_{suffix}"].numbers(n), values[f"Rs_{suffix}"].numbers(n)
    return {f"{kind}_cutoff": [cutoff], f"{kind}_eta": eta, f"{kind}_centers": centers}


def check_ranges(parameters: dict[str, list[float]], values: Section) -> None:
    """Refuse numbers with which the functions would not be defined."""
    for name, key, least in (
        ("radial_cutoff", "Rc_rad", 0.0),
        ("angular_cutoff", "Rc_ang", 0.0),
        ("radial_eta", "eta_rad", 0.0),
        ("angular_eta", "eta_ang", 0.0),
    ):
        smallest = min(parameters[name])
        require(smallest > least, ModelFileError, f"{values[key].place}: must be positive, found {smallest}")
    smallest = min(parameters["angular_zeta"])
    require(smallest >= 1, ModelFileError, f"{values['zeta'].place}: must be 1 or more, found {smallest}")


def step_notes(section: Section, parameters: dict[str, list[float]]) -> list[str]:
    """Say where Rsst, a redundant step, contradicts the centers."""
    notes = []
    for kind, suffix in (("radial", "rad"), ("angular", "ang")):
        stated = section.get(f"Rsst_{suffix}")
        if stated is None:
            continue
        start, cutoff = parameters[f"{kind}_centers"][0], parameters[f"{kind}_cutoff"][0]
        step = (cutoff - start) / len(parameters[f"{kind}_centers"])
        if abs(stated.number() - step) > 1e-6:
            notes.append(
                f"{stated.place} = {stated.text} is ignored, the centers are {step:.6g} Å apart, (Rc - Rs0)/RsN, as in "
                "PANNA since March 2020; the plugin of 2019 would use the value given"
            )
    return notes


def exponent_notes(parameters: dict[str, list[float]], values: Section) -> list[str]:
    """Say that an exponent is not whole, which some programs truncate."""
    if all(z == round(z) for z in parameters["angular_zeta"]):
        return []
    value = values["zeta"]
    return [f"{value.place} = {value.text} is not whole and is kept; the PANNA plugin of 2020 truncates it"]


def read_network(section: Section, n_features: int, path: Path, element: str) -> torch.nn.Sequential:
    """Build the perceptron of one species from its section and its weight file."""
    refuse_unknown(section, NETWORK_KEYS | {"activations"}, f"[{element}]")
    where = f"section [{element}] of '{path}'"
    for key in sorted(NETWORK_KEYS):
        require(key in section, ModelFileError, f"{where}: key '{key}' is missing")
    n_layers = section["Nlayers"].count()
    sizes = [v.count() for v in section["sizes"].items()]
    place = section["sizes"].place
    require(len(sizes) == n_layers, ModelFileError, f"{place}: expected {n_layers} sizes, found {len(sizes)}")
    require(
        sizes[-1] == 1,
        ModelFileError,
        f"{place}: the last layer must have 1 output, the energy, found {sizes[-1]}; networks with 3 outputs belong "
        "to potentials with charge equilibration, which are not supported",
    )
    activations = activation_names(section.get("activations"), n_layers)
    name = section["file"].text
    require(
        Path(name).name == name and name.isprintable(),
        ModelFileError,
        f"{section['file'].place}: must name a file in the same folder, found {name!r:.60}",
    )
    layers = read_weights(path.parent / name, [n_features, *sizes])
    return torch.nn.Sequential(*(DenseLayer(w, b, a) for (w, b), a in zip(layers, activations, strict=True)))


def activation_names(value: Value | None, n_layers: int) -> list[str]:
    """Translate activation numbers; the default is gaussian with a linear last layer."""
    if value is None:
        return ["gaussian"] * (n_layers - 1) + ["linear"]
    codes = [v.text for v in value.items()]
    require(len(codes) == n_layers, ModelFileError, f"{value.place}: expected {n_layers} numbers, found {len(codes)}")
    for code in codes:
        require(
            code in ACTIVATIONS,
            ModelFileError,
            f"{value.place}: activation '{code}' is not supported; known: "
            + ", ".join(f"{number} {name}" for number, name in ACTIVATIONS.items()),
        )
    return [ACTIVATIONS[code] for code in codes]


def read_weights(path: Path, sizes: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    """Read per layer a matrix (in, out), stored row by row, and a bias (out,): little-endian float32, no header."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"cannot read the weights '{path}': {error.strerror}") from error
    expected = 4 * sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
    fault = "it is truncated" if len(content) < expected else "something trails the weights"
    require(
        len(content) == expected,
        ModelFileError,
        f"'{path}' has {len(content)} bytes, the layers {'-'.join(map(str, sizes))} need {expected}: {fault}, or it "
        "belongs to another potential",
    )
    numbers = np.frombuffer(content, dtype="<f4").astype(np.float32)
    require(bool(np.isfinite(numbers).all()), ModelFileError, f"'{path}' holds NaN or infinity")
    layers, start = [], 0
    for n_in, n_out in pairwise(sizes):
        middle, end = start + n_in * n_out, start + (n_in + 1) * n_out
        weight = torch.tensor(numbers[start:middle].reshape(n_in, n_out).T.copy())
        layers.append((weight, torch.tensor(numbers[middle:end])))
        start = end
    return layers
