"""Prepared stores: many cases in one place, read by the region."""

from .reader import Store
from .records import CaseRecord, EntryRecord
from .writer import Writer

__all__ = ["CaseRecord", "EntryRecord", "Store", "Writer"]
