"""DICOM files as scanners make them, of a few pixels, for tests."""

import zlib

import pydicom
from pydicom.dataset import FileMetaDataset

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR, NM = "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.20"


def item(**elements):
    """A dataset, or an item of a sequence."""
    made = pydicom.Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def save(path, pixels, *, position=None, **elements):
    """A grey image of one frame ``(row, column)``, or of several, with what is asked for.

    ``position`` in LPS gives it a place on an axial plane with pixels of 0.5 x 0.75 mm.
    """
    placed = {
        "ImagePositionPatient": position,
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [0.75, 0.5],
        "SliceThickness": 2,
    }
    made = item(
        **{
            "SOPClassUID": MR,
            "SOPInstanceUID": f"1.2.3.{zlib.crc32(str(path).encode())}",
            "StudyInstanceUID": "1.2.4",
            "SeriesInstanceUID": "1.2.5",
            "Modality": "MR",
            "PatientName": "Doe^Jane",
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "Rows": pixels.shape[-2],
            "Columns": pixels.shape[-1],
            "BitsAllocated": 8 * pixels.dtype.itemsize,
            "BitsStored": 8 * pixels.dtype.itemsize,
            "HighBit": 8 * pixels.dtype.itemsize - 1,
            "PixelRepresentation": int(pixels.dtype.kind == "i"),
            **({} if position is None else placed),
            **({"NumberOfFrames": len(pixels)} if pixels.ndim == 3 else {}),
            **elements,
        }
    )
    if "PixelData" not in elements:
        content = pixels.tobytes()
        made.PixelData = content + b"\0" * (len(content) % 2)
        made["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.save_as(path, enforce_file_format=True)
    return path


def edit(path, **elements):
    """Change a file's elements; None takes one out."""
    dataset = pydicom.dcmread(path)
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)
    return path
