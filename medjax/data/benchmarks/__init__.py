"""Public data sets, from a folder in the layout that their owners publish.

`CARDS` says of each what it is, under which terms, where to apply for it and how its
files lie. Nothing is downloaded: who uses a set has accepted its owners' terms.
``CARDS[name].cases(folder)`` lists its cases, which ``medjax data prepare`` takes;
`source` reads them as they are, and `builder` writes them for TFDS.
"""

from medjax.core.lazy import on_first_use

_LAZY = {
    "CARDS": "cards",
    "Card": "definition",
    "CaseSource": "samples",
    "builder": "tfds",
    "card": "cards",
    "source": "samples",
}

__all__ = [*_LAZY]

__getattr__, __dir__ = on_first_use(__name__, _LAZY)
