"""What is put on a backbone while it learns without labels, and taken off afterwards.

Each module here has the network that is kept as its part "backbone", so that its parameters
are ``params["backbone"]``.
"""

from .decoders import Hypercolumn, PixelHead, UpDecoder
from .mae import MAEDecoder, MaskedAutoencoder
from .restorer import ColourModel, Restorer
from .siamese import Siamese
from .simmim import SimMIM

__all__ = [
    "ColourModel",
    "Hypercolumn",
    "MAEDecoder",
    "MaskedAutoencoder",
    "PixelHead",
    "Restorer",
    "Siamese",
    "SimMIM",
    "UpDecoder",
]
