"""ASE calculator of a model file, on the native engine or on PyTorch. Importing it does not import torch."""

from panna_plus.calculator.ase_calculator import PannaPlusCalculator

__all__ = ["PannaPlusCalculator"]
