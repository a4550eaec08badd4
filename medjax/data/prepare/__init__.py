"""From folders of scans to a prepared store: found, checked, brought to one grid and scale."""

from medjax.core.lazy import on_first_use

_LAZY = {
    "Normalisation": "normalise",
    "Outcome": "run",
    "Settings": "steps",
    "find_cases": "discover",
    "prepare": "run",
    "prepare_case": "steps",
    "read_record": "records",
    "stored_plan": "plan",
    "to_source_grid": "undo",
    "to_source_intensity": "undo",
}

__all__ = [*_LAZY]

__getattr__, __dir__ = on_first_use(__name__, _LAZY)
