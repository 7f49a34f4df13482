"""The native engine: evaluates model files without torch."""

from panna_plus.native.engine import PRECISIONS, Engine, Evaluation, ListedEngine
from panna_plus.native.library import is_built, load_module
from panna_plus.native.neighborhood import (
    ImageLists,
    NativeNeighborhood,
    image_lists,
    neighborhood_from_pairs,
    neighborhood_of_displacements,
    ordered_keys,
)

__all__ = [
    "PRECISIONS",
    "Engine",
    "Evaluation",
    "ImageLists",
    "ListedEngine",
    "NativeNeighborhood",
    "image_lists",
    "is_built",
    "load_module",
    "neighborhood_from_pairs",
    "neighborhood_of_displacements",
    "ordered_keys",
]
