import math

import pytest
import torch

from panna_plus.layers.perceptron import ACTIVATIONS, DenseLayer, random_perceptron

FORMULAS = {
    "gaussian": lambda x: math.exp(-x * x),
    "tanh": math.tanh,
    "silu": lambda x: x / (1 + math.exp(-x)),
    "relu": lambda x: max(x, 0.0),
    "lorentz": lambda x: 1 / (1 + x * x),
    "linear": lambda x: x,
}


def test_every_activation_has_a_formula():
    assert set(FORMULAS) == set(ACTIVATIONS)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_layer_computes_its_formula(activation):
    weight = torch.tensor([[1.0, -2.0], [0.5, 0.25]], dtype=torch.float64)
    layer = DenseLayer(weight, torch.tensor([0.1, -0.2], dtype=torch.float64), activation)
    x = torch.tensor([[0.3, 0.7], [-1.0, 0.4]], dtype=torch.float64)
    expected = [[FORMULAS[activation](float(r @ w) + b) for w, b in zip(weight, (0.1, -0.2), strict=True)] for r in x]
    assert torch.allclose(layer(x), torch.tensor(expected, dtype=torch.float64), rtol=1e-14)


def test_unknown_activation_is_named():
    with pytest.raises(ValueError, match="found 'selu'"):
        DenseLayer(torch.zeros(1, 1), torch.zeros(1), "selu")


def test_random_perceptron_is_glorot_normal_with_a_linear_end():
    network = random_perceptron([200, 100, 1], "tanh", torch.Generator().manual_seed(0), torch.float64)
    assert [layer.activation for layer in network] == ["tanh", "linear"]
    assert [tuple(layer.weight.shape) for layer in network] == [(100, 200), (1, 100)]
    assert float(network[0].weight.detach().std()) == pytest.approx(math.sqrt(2 / 300), rel=0.02)
    assert all(layer.bias.abs().max() == 0.0 for layer in network)


def test_global_random_state_is_not_used():
    before = torch.get_rng_state()
    random_perceptron([3, 2, 1], "silu", torch.Generator().manual_seed(0), torch.float32)
    assert (torch.get_rng_state() == before).all()
