"""All cards by name."""

from __future__ import annotations

import difflib

from medjax.core.errors import InputError

from . import abdomen, brain, chest, decathlon, fastmri, heart, lesions, medmnist, pathology, skin
from .definition import Card

_FAMILIES = (
    fastmri, brain, decathlon, abdomen, heart, lesions, chest, skin, pathology, medmnist
)  # fmt: skip

CARDS: dict[str, Card] = {card.name: card for family in _FAMILIES for card in family.CARDS}


def card(name: str) -> Card:
    """One card.

    Raises:
        InputError: with the nearest names, for an unknown one.
    """
    if name not in CARDS:
        near = difflib.get_close_matches(name, CARDS, n=3) or CARDS
        raise InputError("data set", f"one of {', '.join(near)}", repr(name))
    return CARDS[name]
