"""Weights from elsewhere: other libraries' checkpoints, matched exactly to medjax's modules."""

from .catalogue import Entry, Imported, entries, import_file
from .files import load_weights, read_tensors, save_weights
from .importer import Naming, Report, Rule, import_weights
from .transforms import adapt_channels, adapt_kernel, adapt_positions, inflate

__all__ = [
    "Entry",
    "Imported",
    "Naming",
    "Report",
    "Rule",
    "adapt_channels",
    "adapt_kernel",
    "adapt_positions",
    "entries",
    "import_file",
    "import_weights",
    "inflate",
    "load_weights",
    "read_tensors",
    "save_weights",
]
