"""Import of PANNA potential folders: both generations, any order, and what is refused."""

import argparse
import math
import random
from itertools import pairwise

import numpy as np
import pytest
import torch
from ase import Atoms

from panna_plus.commands.import_ import add_parser
from panna_plus.errors import ModelFileError, PannaPlusError
from panna_plus.export import checking_graphs
from panna_plus.families import load_potential
from panna_plus.families.panna.import_folder import import_folder
from panna_plus.model_file import read_model
from tests.geometries import cluster, predict, rms_force

ELEMENTS = ["O", "Si"]
SIZES = {"O": [30, 6, 1], "Si": [30, 5, 4, 1]}
COMMON = {
    "Nspecies": "2",
    "species": "O,Si",
    "Rc_rad": "4.5",
    "RsN_rad": "3",
    "Rc_ang": "3.5",
    "RsN_ang": "2",
    "ThetasN": "4",
}
SCALARS = COMMON | {
    "eta_rad": "3.0", "Rs0_rad": "0.6", "Rsst_rad": "1.3", "eta_ang": "2.0", "Rs0_ang": "0.5", "Rsst_ang": "1.5",
    "zeta": "6.0",
}  # fmt: skip
LISTS = COMMON | {
    "eta_rad": "[3.0,3.0,3.0]", "Rs_rad": f"[0.6,{0.6 + 3.9 / 3!r},{0.6 + 7.8 / 3!r}]",
    "eta_ang": "[2.0,2.0]", "Rs_ang": "[0.5,2.0]", "zeta": "[6,6,6,6]",
    "Thetas": str([(b + 0.5) * math.pi / 4 for b in range(4)]),
}  # fmt: skip
NETWORKS = {
    "O": {"Nlayers": "2", "sizes": "6,1", "file": "weights_O.dat", "activations": "1,0"},
    "Si": {"Nlayers": "3", "sizes": "5,4,1", "file": "weights_Si.dat", "activations": "4,3,0"},
}


def weights(element):
    """Return W (in, out) and bias of every layer, float32."""
    generator = np.random.default_rng(len(element))
    sizes = SIZES[element]
    return [
        (generator.normal(size=(a, b)).astype(np.float32), generator.normal(size=b).astype(np.float32))
        for a, b in pairwise(sizes)
    ]


def text_of(parameters, gversion, networks=NETWORKS, shuffle=None):
    """Return the text file as a list of lines."""
    sections = {"GVECT_PARAMETERS": parameters, **networks}
    names = list(sections)
    if shuffle is not None:
        random.Random(shuffle).shuffle(names)
    lines = ["# made by a test", *(["!gversion = 1"] if gversion else []), "!version = 2.0", ""]
    for name in names:
        keys = list(sections[name].items())
        if shuffle is not None:
            random.Random(shuffle).shuffle(keys)
        lines += [f"[{name}]", *(f"{k} = {v}" for k, v in keys), ""]
    return lines


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a folder."""

    def write_folder(lines, end="\n"):
        (tmp_path / "panna.in").write_bytes(end.join(lines).encode())
        for element in ELEMENTS:
            content = b"".join(part.astype("<f4").tobytes() for layer in weights(element) for part in layer)
            (tmp_path / f"weights_{element}.dat").write_bytes(content)
        return tmp_path

    return write_folder


def arrays_of(folder, **options):
    return import_folder(folder, **options).potential.arrays()


@pytest.mark.parametrize(("parameters", "gversion"), [(SCALARS, 0), (LISTS, 1)])
def test_all_numbers_arrive(write, parameters, gversion):
    imported = import_folder(write(text_of(parameters, gversion)), epsilon=1e-2)
    assert imported.gversion == gversion
    assert imported.notes == []
    arrays = imported.potential.arrays()
    assert arrays["descriptor/radial/cutoff"] == [4.5]
    assert np.allclose(arrays["descriptor/radial/centers"], [0.6, 1.9, 3.2], rtol=0, atol=1e-14)
    assert arrays["descriptor/radial/eta"].tolist() == [3.0] * 3
    assert arrays["descriptor/angular/cutoff"] == [3.5]
    assert arrays["descriptor/angular/centers"].tolist() == [0.5, 2.0]
    assert arrays["descriptor/angular/eta"].tolist() == [2.0] * 2
    assert np.allclose(arrays["descriptor/angular/theta"], (np.arange(4) + 0.5) * np.pi / 4, rtol=0, atol=1e-15)
    assert arrays["descriptor/angular/zeta"].tolist() == [6.0] * 4
    assert arrays["descriptor/angular/epsilon"] == [1e-2]
    assert arrays["reference_energies"].tolist() == [0.0, 0.0]
    for element in ELEMENTS:
        for k, (weight, bias) in enumerate(weights(element)):
            assert (arrays[f"element/{element}/layer/{k}/weight"] == weight.T).all()
            assert (arrays[f"element/{element}/layer/{k}/bias"] == bias).all()
            assert arrays[f"element/{element}/layer/{k}/weight"].dtype == np.float32
    card = imported.potential.family_parameters()
    assert card["activations"] == {"O": ["gaussian", "linear"], "Si": ["tanh", "relu", "linear"]}
    assert card["lone_atom"] == "network"


def test_network_is_evaluated_as_the_format_says(write):
    potential = import_folder(write(text_of(SCALARS, 0))).potential.double()
    (first, b1), (second, b2) = weights("O")
    hidden = np.exp(-(b1.astype(float) ** 2))
    expected = float(hidden @ second.astype(float)[:, 0] + b2[0])
    prediction = predict(potential, Atoms("O"))
    assert prediction.energies.item() == pytest.approx(expected, abs=1e-14)
    assert first.shape == (30, 6)


@pytest.mark.parametrize(("parameters", "gversion"), [(SCALARS, 0), (LISTS, 1)])
@pytest.mark.parametrize("seed", range(4))
def test_order_of_keys_and_sections_does_not_matter(write, parameters, gversion, seed):
    expected = arrays_of(write(text_of(parameters, gversion)))
    found = arrays_of(write(text_of(parameters, gversion, shuffle=seed)))
    assert found.keys() == expected.keys()
    assert all((found[name] == expected[name]).all() for name in expected)


@pytest.mark.parametrize("end", ["\r\n", "\t\n", "\n\n"])
def test_line_ends_and_blanks_do_not_matter(write, end):
    assert arrays_of(write(text_of(SCALARS, 0), end)).keys() == arrays_of(write(text_of(SCALARS, 0))).keys()


def test_default_activations_are_gaussian_and_linear(write):
    networks = {e: {k: v for k, v in n.items() if k != "activations"} for e, n in NETWORKS.items()}
    potential = import_folder(write(text_of(SCALARS, 0, networks))).potential
    assert potential.family_parameters()["activations"]["Si"] == ["gaussian", "gaussian", "linear"]


def test_contradicting_step_and_real_exponent_are_noted(write):
    imported = import_folder(write(text_of(SCALARS | {"Rsst_ang": "1.4", "zeta": "6.5"}, 0)))
    assert len(imported.notes) == 2
    assert "Rsst_ang = 1.4 is ignored" in imported.notes[0]
    assert "line" in imported.notes[0]
    assert "not whole and is kept" in imported.notes[1]
    assert imported.potential.arrays()["descriptor/angular/zeta"].tolist() == [6.5] * 4


def without(mapping, key):
    return {k: v for k, v in mapping.items() if k != key}


WRONG_PARAMETERS = {
    "unknown key": (SCALARS | {"Rs1_rad": "1"}, 0, r"line \d+, Rs1_rad: unknown key 'Rs1_rad'"),
    "keys of the other generation": (LISTS, 0, r"unknown key 'Rs_rad' in \[GVECT_PARAMETERS\] of gversion 0"),
    "missing key": (without(SCALARS, "Rs0_ang"), 0, r"key 'Rs0_ang' is missing"),
    "no species": (without(SCALARS, "species"), 0, r"key 'species' is missing"),
    "number of species": (SCALARS | {"Nspecies": "3"}, 0, r"expected Nspecies = 3 names, found 2"),
    "species twice": (SCALARS | {"species": "O,O"}, 0, r"occurs twice"),
    "no element": (SCALARS | {"species": "O,Qq"}, 0, r"Qq is no chemical symbol"),
    "no number": (SCALARS | {"eta_rad": "3.0 A"}, 0, r"line \d+, eta_rad: expected a number, found '3.0A'"),
    "trailing comment": (SCALARS | {"zeta": "6 # sharp"}, 0, r"line \d+, zeta: expected a number, found '6#sharp'"),
    "not finite": (SCALARS | {"Rc_rad": "inf"}, 0, r"expected a number"),
    "zero count": (SCALARS | {"RsN_rad": "0"}, 0, r"expected a whole number"),
    "huge count": (SCALARS | {"RsN_rad": "9" * 5000}, 0, r"expected a whole number"),
    "negative cutoff": (SCALARS | {"Rc_ang": "-3.5"}, 0, r"Rc_ang: must be positive"),
    "small exponent": (SCALARS | {"zeta": "0.5"}, 0, r"zeta: must be 1 or more"),
    "short list": (LISTS | {"Thetas": "[0.1,0.2]"}, 1, r"Thetas: expected 4 numbers, found 2"),
    "other features": (SCALARS | {"RsN_rad": "4"}, 0, r"weights_O.dat' has 772 bytes"),
}


@pytest.mark.parametrize("case", WRONG_PARAMETERS)
def test_wrong_parameters_are_refused(write, case):
    parameters, gversion, message = WRONG_PARAMETERS[case]
    with pytest.raises(ModelFileError, match=message):
        import_folder(write(text_of(parameters, gversion)))


WRONG_NETWORKS = {
    "unknown key": ({"size": "6,1"}, r"unknown key 'size' in \[O\]"),
    "missing file": ({"file": "absent.dat"}, r"cannot read the weights '.*absent.dat'"),
    "file elsewhere": ({"file": "../weights_O.dat"}, r"must name a file in the same folder"),
    "layer count": ({"Nlayers": "3"}, r"expected 3 sizes, found 2"),
    "rbf": ({"activations": "2,0"}, r"activation '2' is not supported; known: 0 linear"),
    "activation count": ({"activations": "1"}, r"expected 2 numbers, found 1"),
    "three outputs": ({"sizes": "6,3"}, r"networks with 3 outputs belong to potentials with charge equilibration"),
}


@pytest.mark.parametrize("case", WRONG_NETWORKS)
def test_wrong_networks_are_refused(write, case):
    change, message = WRONG_NETWORKS[case]
    networks = NETWORKS | {"O": NETWORKS["O"] | change}
    with pytest.raises(ModelFileError, match=message):
        import_folder(write(text_of(SCALARS, 0, networks)))


WRONG_LINES = {
    "no equals sign": ("eta_rad 3.0", r"line 9: expected '\[section\]' or 'key = value', found 'eta_rad3.0'"),
    "no value": ("eta_rad =", r"line 9: expected"),
    "key twice": ("Rc_rad = 4.5", r"line 9: 'Rc_rad' is given twice"),
    "section twice": ("[GVECT_PARAMETERS]", r"line 9: section \[GVECT_PARAMETERS\] is given twice"),
    "long range": ("[LONG_RANGE]", r"line 9: \[LONG_RANGE\] .* not supported"),
    "unknown section": ("[Fe]", r"section \[Fe\] .* belongs to none of the species O, Si"),
    "unknown gversion": ("!gversion = 2", r"line 9: gversion must be 0 or 1"),
}


@pytest.mark.parametrize("case", WRONG_LINES)
def test_wrong_lines_are_refused_with_their_number(write, case):
    line, message = WRONG_LINES[case]
    lines = text_of(SCALARS, 0)
    lines.insert(8, line)
    with pytest.raises(ModelFileError, match=message):
        import_folder(write(lines))


def test_key_before_the_first_section_is_refused(write):
    with pytest.raises(ModelFileError, match=r"line 1: 'zeta' stands before the first \[section\]"):
        import_folder(write(["zeta = 3", *text_of(SCALARS, 0)]))


def test_species_without_a_section_is_refused(write):
    with pytest.raises(ModelFileError, match=r"species Si has no section"):
        import_folder(write(text_of(SCALARS, 0, {"O": NETWORKS["O"]})))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b[:-1], r"weights_Si.dat' has \d+ bytes, the layers 30-5-4-1 need \d+: it is truncated"),
        (lambda b: b[:-4], "it is truncated"),
        (lambda b: b"", "it is truncated"),
        (lambda b: b + b"\0\0\0\0", "something trails the weights"),
        (lambda b: b[:-4] + np.float32(np.nan).tobytes(), "NaN or infinity"),
    ],
)
def test_weight_file_of_another_size_is_refused(write, change, message):
    folder = write(text_of(SCALARS, 0))
    path = folder / "weights_Si.dat"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ModelFileError, match=message):
        import_folder(folder)


def test_absent_and_binary_text_files_are_refused(write):
    folder = write(text_of(SCALARS, 0))
    with pytest.raises(ModelFileError, match=r"there is no .*other.in.*--file"):
        import_folder(folder, file="other.in")
    with pytest.raises(ModelFileError, match="not a text file"):
        (folder / "panna.in").write_bytes(b"\xff\xfe\x00")
        import_folder(folder)


@pytest.mark.parametrize("epsilon", [-1e-3, math.nan])
def test_epsilon_must_be_a_number_of_zero_or_more(write, epsilon):
    with pytest.raises(ModelFileError, match="epsilon must be 0 or more"):
        import_folder(write(text_of(SCALARS, 0)), epsilon)


def test_mutated_files_never_crash(write):
    generator = np.random.default_rng(0)
    content = "\n".join(text_of(LISTS, 1)).encode()
    folder = write(text_of(LISTS, 1))
    n_refused = 0
    for _ in range(300):
        mutated = bytearray(content)
        for position in generator.integers(0, len(content), 3):
            mutated[position] = generator.integers(0, 256)
        (folder / "panna.in").write_bytes(bytes(mutated))
        try:
            import_folder(folder)
        except PannaPlusError:
            n_refused += 1
    assert n_refused > 150


def run_import(*arguments):
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    parsed = parser.parse_args(["import", "panna", *map(str, arguments)])
    return parsed.run(parsed)


def test_command_writes_a_model_file(write, tmp_path, capsys):
    folder = write(text_of(SCALARS | {"zeta": "6.5"}, 0))
    output = tmp_path / "imported.pt"
    assert run_import(folder, "-o", output, "--epsilon", "1e-2") == 0
    printed = capsys.readouterr()
    assert "epsilon 0.01" in printed.out
    assert "not whole" in printed.err
    assert "assumed" not in printed.err
    loaded, card = load_potential(output)
    expected = import_folder(folder, epsilon=1e-2).potential.double()
    for atoms in (cluster(ELEMENTS), Atoms("Si")):
        first, second = predict(expected, atoms), predict(loaded, atoms)
        assert (first.energies - second.energies).abs().max() == 0.0
        assert (first.forces - second.forces).abs().max() == 0.0
    assert rms_force(predict(loaded, cluster(ELEMENTS))) > 0.1
    stored = read_model(output)
    assert stored.card["provenance"]["imported_from"] == "PANNA potential folder"
    assert stored.card["provenance"]["epsilon"] == 1e-2
    assert stored.card["provenance"]["gversion"] == 0
    assert stored.card["provenance"]["package"].startswith("panna_plus")
    assert stored.card["family_parameters"]["lone_atom"] == "network"
    assert stored.card["dtype"] == card["dtype"] == "float32"
    assert stored.arrays["element/O/layer/0/weight"].dtype == np.float32


def test_command_says_which_epsilon_it_assumed(write, tmp_path, capsys):
    run_import(write(text_of(SCALARS, 0)), "-o", tmp_path / "m.pt")
    assert "epsilon = 0.001 assumed" in capsys.readouterr().err


def test_command_overwrites_only_by_force(write, tmp_path):
    folder, output = write(text_of(SCALARS, 0)), tmp_path / "m.pt"
    output.write_text("precious")
    with pytest.raises(PannaPlusError, match="exists"):
        run_import(folder, "-o", output)
    assert output.read_text() == "precious"
    run_import(folder, "-o", output, "--force")
    assert read_model(output).card["elements"] == ELEMENTS


def test_checking_graphs_hold_all_elements_at_fair_distances(write):
    potential = import_folder(write(text_of(SCALARS, 0))).potential
    graphs = checking_graphs(potential)
    assert len(graphs) == 4
    for graph in graphs:
        assert set(graph.species.tolist()) == {0, 1}
        assert torch.linalg.vector_norm(graph.displacements, dim=1).min() > 1.1
        assert graph.displacements.shape[0] > 0
