"""Array operations on images."""

from medjax.core.lazy import on_first_use

# On first use, as loader workers import what is NumPy's of this room and no JAX.
_LAZY = dict.fromkeys(("WAVELETS", "decompose", "reconstruct", "scaling_filter"), "wavelets")

__all__ = [*_LAZY]

__getattr__, __dir__ = on_first_use(__name__, _LAZY)
