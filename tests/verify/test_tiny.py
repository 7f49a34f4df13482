"""The built-in model is a model like any other, with forces to speak of."""

import numpy as np

from panna_plus import PannaPlusCalculator
from panna_plus.families import load_potential
from panna_plus.graph import graph_from_atoms
from panna_plus.verify.tiny import tiny_atoms, tiny_energy, write_tiny_model


def test_tiny_model_gives_the_same_energy_in_pytorch(tmp_path):
    model, atoms = write_tiny_model(tmp_path), tiny_atoms()
    energy, _ = tiny_energy(model, atoms)
    potential, _ = load_potential(model)
    expected = potential.predict(graph_from_atoms(atoms, potential.elements, potential.cutoff))
    assert abs(energy - float(expected.atomic_energies.sum())) < 1e-10
    atoms.calc = PannaPlusCalculator(model)
    assert np.sqrt((atoms.get_forces() ** 2).mean()) > 0.1
