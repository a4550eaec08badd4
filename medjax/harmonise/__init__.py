"""Harmonisation: what scanners, sites and laboratories add, estimated and taken away.

A method is a pair of functions, ``fit(...) -> state`` and ``transform(state, ...)``. The
state holds arrays alone, and `transform` sees nothing else of what was fitted: held-out
data changes no estimate, and one subject's result depends on no other's.
"""

from medjax.core.registry import Registry

from .combat import ComBatState, combat
from .intensity import matching, nyul
from .method import Harmoniser
from .stains import macenko, reinhard, vahadane

HARMONISERS = Registry(
    "harmonisers",
    {
        "combat": "medjax.harmonise.combat:combat",
        "matching": "medjax.harmonise.intensity:matching",
        "nyul": "medjax.harmonise.intensity:nyul",
        "reinhard": "medjax.harmonise.stains:reinhard",
        "macenko": "medjax.harmonise.stains:macenko",
        "vahadane": "medjax.harmonise.stains:vahadane",
    },
)

__all__ = [
    "HARMONISERS",
    "ComBatState",
    "Harmoniser",
    "combat",
    "macenko",
    "matching",
    "nyul",
    "reinhard",
    "vahadane",
]
