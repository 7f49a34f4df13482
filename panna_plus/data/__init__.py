"""Structures with reference labels: reading, checking, splitting, reporting."""

from panna_plus.data.batches import batch_order
from panna_plus.data.config import DataConfig, LabelKeys
from panna_plus.data.dataset import DataSet, check_loss_labels, load_dataset
from panna_plus.data.frame import Frame
from panna_plus.data.pairs import shortest_distances
from panna_plus.data.reading import read_frames
from panna_plus.data.reference_energies import ReferenceEnergies, find_reference_energies
from panna_plus.data.report import DataReport, data_report
from panna_plus.data.report_tables import render
from panna_plus.data.splits import split_frames

__all__ = [
    "DataConfig",
    "DataReport",
    "DataSet",
    "Frame",
    "LabelKeys",
    "ReferenceEnergies",
    "batch_order",
    "check_loss_labels",
    "data_report",
    "find_reference_energies",
    "load_dataset",
    "read_frames",
    "render",
    "shortest_distances",
    "split_frames",
]
