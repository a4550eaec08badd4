"""DICOM, by pydicom and its decoders (the extra ``dicom``).

`read` gives one series as an image, whatever its transfer syntax and the order of its
files, `series` lists those of a folder, `header` reads no pixels. `write` makes a derived
series. `facts` is what a header says of the scanner; `deidentified` and `deidentify`
leave the person out.

References:
    DICOM PS3.3 (elements of an image), PS3.5 (transfer syntaxes), PS3.15 annex E
    (confidentiality profiles), dicom.nema.org.
"""

from .deidentify import Deidentified, deidentified, deidentify
from .reading import Series, facts, header, read, series
from .writing import write

__all__ = [
    "Deidentified",
    "Series",
    "deidentified",
    "deidentify",
    "facts",
    "header",
    "read",
    "series",
    "write",
]
