"""Export writes only files that compute what the potential computes, and others can run them."""

import copy
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

from panna_plus import engine_errors, export
from panna_plus.errors import ConfigError, ModelFileError
from panna_plus.export import export_model, in_float64, load_script
from panna_plus.families import FAMILIES, build_potential, load_potential, potential_from_model
from panna_plus.families.panna.config import MbpConfig, NetworkConfig, PannaConfig
from panna_plus.model_file import read_model
from panna_plus.potential import Potential
from tests.geometries import cluster, crystal, graph_of, predict, rms_force

ELEMENTS = ["Si", "O"]
CONFIG = PannaConfig(
    descriptor=MbpConfig(radial_cutoff=4.0, n_radial=4, angular_cutoff=3.5, n_angular=2, n_theta=2, zeta=4.0),
    network=NetworkConfig(hidden=(5,)),
)


@pytest.fixture(scope="module")
def potential():
    model = build_potential("panna", CONFIG, ELEMENTS, seed=0)
    model.initialize([model.prepare(graph_of(model, cluster(ELEMENTS), crystal(ELEMENTS)))])
    model.reference_energies.copy_(torch.tensor([-163.1, -432.7]))
    model.shortest_distances.copy_(torch.tensor([[2.1, 1.5], [1.5, 0.0]]))
    factor = 1.0 / rms_force(predict(model, cluster(ELEMENTS)))
    for network in model.networks:
        network[-1].weight.data *= factor
    return model


@pytest.fixture(scope="module")
def graphs(potential):
    return [graph_of(potential, a) for a in (cluster(ELEMENTS), crystal(ELEMENTS), cluster(ELEMENTS, n=4))]


@pytest.fixture(scope="module")
def exported(potential, graphs, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model.pt"
    extras = {"errors": {"test": {"forces": {"mae": 0.1}}}, "provenance": {"n_frames": 12}}
    return path, export_model(potential, path, graphs, extras)


def test_card_is_complete(exported, potential):
    path, returned = exported
    card = read_model(path).card
    assert {k: card[k] for k in returned} == returned
    assert card["elements"] == ELEMENTS
    assert card["cutoff"] == card["reach"] == 4.0
    assert card["n_exchanges"] == 0
    assert card["units"] == {"length": "angstrom", "energy": "eV"}
    assert card["dtype"] == "float32"
    assert card["n_parameters"] == sum(p.numel() for p in potential.parameters())
    assert card["reference_energies"] == pytest.approx({"Si": -163.1, "O": -432.7}, abs=1e-4)
    assert card["shortest_distances"] == pytest.approx({"Si-Si": 2.1, "Si-O": 1.5})
    assert card["errors"] == {"test": {"forces": {"mae": 0.1}}}
    assert card["provenance"]["n_frames"] == 12
    assert card["provenance"]["torch"] == torch.__version__
    assert "PANNA" in card["citation"][0]


def test_export_leaves_the_potential_alone(potential, exported):
    assert {p.dtype for p in potential.parameters()} == {torch.float32}
    assert all(p.requires_grad for p in potential.parameters())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_loaded_potential_computes_in_the_precision_asked_for(exported, potential, dtype):
    loaded, _ = load_potential(exported[0], dtype)
    assert {p.dtype for p in loaded.parameters()} == {dtype}
    assert not any(p.requires_grad for p in loaded.parameters())
    expected = predict(in_float64(potential), crystal(ELEMENTS))
    found = predict(loaded, crystal(ELEMENTS))
    assert rms_force(expected) > 0.1
    error = float((found.forces - expected.forces).abs().max())
    assert error == 0.0 if dtype == torch.float64 else 0.0 < error < 1e-4
    assert found.forces.dtype == torch.float64


def test_other_precisions_are_refused(exported):
    with pytest.raises(ConfigError, match="float32 or float64"):
        load_potential(exported[0], torch.float16)


def test_same_potential_gives_the_same_weights(exported, potential, graphs, tmp_path):
    export_model(potential, tmp_path / "again.pt", graphs)
    first, second = (read_model(p).card for p in (exported[0], tmp_path / "again.pt"))
    assert first["weights_sha256"] == second["weights_sha256"]


def test_card_says_how_far_the_engine_is(exported, potential, graphs, tmp_path, monkeypatch):
    errors = exported[1]["engine_errors"]
    assert set(errors) == {"double", "mixed"}
    assert errors["double"]["forces"] < 1e-10 < errors["mixed"]["forces"] < 1e-4
    assert errors["double"]["energy"] < 1e-10 < errors["mixed"]["energy"] < 1e-5
    monkeypatch.setattr(engine_errors, "is_built", lambda: False)
    assert export_model(potential, tmp_path / "model.pt", graphs)["engine_errors"] == {}


def test_file_that_the_engine_computes_otherwise_is_refused_and_nothing_is_written(
    potential, graphs, tmp_path, monkeypatch
):
    path = tmp_path / "model.pt"
    path.write_bytes(b"old")
    evaluated = engine_errors.evaluated

    def shifted(engine, graph):
        energy, forces = evaluated(engine, graph)
        return energy, forces + 2e-4

    monkeypatch.setattr(engine_errors, "evaluated", shifted)
    with pytest.raises(
        ModelFileError, match=r"the native engine is 2.0e-04 eV/Å from the trained model .* nothing was"
    ):
        export_model(potential, path, graphs)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


class Forgetful(Potential):
    """Computes another energy after its third call, as a wrongly specialised script would."""

    def __init__(self, inner):
        super().__init__(inner.elements, inner.cutoff)
        self.inner = inner
        self.calls = 0

    def forward(self, *inputs):
        self.calls += 1
        energies, gradient = self.inner(*inputs)
        return energies, gradient * (1.0 + (1e-6 if self.calls > 3 else 0.0))


def test_script_that_goes_astray_is_refused_and_nothing_is_written(potential, graphs, tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    path.write_bytes(b"old")
    monkeypatch.setattr(export, "load_script", lambda p: Forgetful(in_float64(potential)))
    with pytest.raises(
        ModelFileError, match=r"TorchScript part of the exported file, call 4, gradients: differs .* nothing"
    ):
        export_model(potential, path, graphs)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["model.pt"]


def test_arrays_that_forget_a_number_are_refused(potential, graphs, tmp_path, monkeypatch):
    broken = copy.deepcopy(potential)
    original = type(broken).arrays

    def arrays(self):
        stored = original(self)
        stored["element/O/feature_mean"] = stored["element/O/feature_mean"] * (1 + 1e-6)
        return stored

    monkeypatch.setattr(type(broken), "arrays", arrays)
    with pytest.raises(ModelFileError, match="card and weights of the exported file, call 1, energies"):
        export_model(broken, tmp_path / "model.pt", graphs)
    assert list(tmp_path.iterdir()) == []


def test_potential_that_is_not_finite_is_refused(potential, graphs, tmp_path):
    broken = copy.deepcopy(potential)
    broken.networks[0][0].weight.data[0, 0] = torch.nan
    with pytest.raises(ModelFileError):
        export_model(broken, tmp_path / "model.pt", graphs)
    assert list(tmp_path.iterdir()) == []


def test_export_without_frames_is_refused(potential, tmp_path):
    with pytest.raises(ModelFileError, match="at least one frame"):
        export_model(potential, tmp_path / "model.pt", [])


def test_export_into_an_absent_folder_is_refused(potential, graphs, tmp_path):
    with pytest.raises(ModelFileError, match=r"the folder '.*absent' does not exist"):
        export_model(potential, tmp_path / "absent" / "model.pt", graphs)


def test_script_uses_operators_of_torch_only(exported):
    script = load_script(exported[0])
    kinds = {node.kind().split("::")[0] for node in script.inlined_graph.nodes()}
    assert kinds <= {"aten", "prim"}


def test_script_runs_in_a_process_without_this_package(exported, graphs, tmp_path):
    graph = graphs[0]
    inputs = [graph.displacements, graph.centers, graph.neighbors, graph.species]
    torch.save(inputs, tmp_path / "inputs.pt")
    program = (
        "import sys, torch, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "model = torch.jit.load(sys.argv[1])\n"
        "outputs = model(*torch.load(sys.argv[2], weights_only=True))\n"
        "torch.save(list(outputs), sys.argv[3])\n"
        "assert 'panna_plus' not in sys.modules\n"
    )
    arguments = [str(exported[0]), str(tmp_path / "inputs.pt"), str(tmp_path / "outputs.pt")]
    subprocess.run([sys.executable, "-I", "-c", program, *arguments], check=True, cwd=tmp_path)
    found = torch.load(tmp_path / "outputs.pt", weights_only=True)
    loaded, _ = load_potential(exported[0])
    for a, b in zip(found, loaded(*inputs), strict=True):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-12)


def test_reading_never_executes_the_script(exported, tmp_path):
    with zipfile.ZipFile(exported[0]) as source, zipfile.ZipFile(tmp_path / "hostile.pt", "w") as target:
        for info in source.infolist():
            keep = "/extra/" in info.filename
            target.writestr(info, source.read(info) if keep else b"import os; os._exit(3)")
    loaded, _ = load_potential(tmp_path / "hostile.pt")
    assert rms_force(predict(loaded, cluster(ELEMENTS))) > 0.1


def test_file_names_no_path_of_this_machine(exported, tmp_path):
    content = exported[0].read_bytes()
    with zipfile.ZipFile(exported[0]) as archive:
        members = b"".join(archive.read(name) for name in archive.namelist())
    for text in (str(exported[0].parent), __file__.rsplit("/", 2)[0]):
        assert text.encode() not in content + members


@pytest.mark.parametrize(
    ("card", "arrays", "message"),
    [
        ({"family": "other"}, {}, "unknown family 'other'; this version knows panna"),
        ({"elements": ["Si", "O", "H"]}, {}, "do not fit the card of family 'panna'"),
        ({"family_parameters": {}}, {}, "do not fit the card"),
        ({}, {"element/Si/layer/0/weight": np.zeros((5, 3), np.float32)}, None),
        ({}, {"descriptor/angular/eta": np.zeros(7)}, None),
    ],
)
def test_arrays_that_do_not_fit_are_refused(exported, card, arrays, message):
    model = read_model(exported[0])
    with pytest.raises(ModelFileError, match=message):
        potential_from_model(model.card | card, model.arrays | arrays)


def test_every_family_is_registered_under_its_name():
    assert list(FAMILIES) == ["panna", "so3krates"]
    with pytest.raises(ConfigError, match=re.escape("unknown family 'pana'")):
        build_potential("pana", CONFIG, ELEMENTS, 0)
