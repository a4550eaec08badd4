"""Small whole slides of known contents, as files."""

from __future__ import annotations

import numpy as np
import pydicom
import tifffile
from pydicom.dataset import Dataset, FileMetaDataset

from medjax.data.slides.prepare import halved

GLASS, PINK, BLUE_INK = (244, 243, 245), (214, 120, 170), (30, 90, 190)


def noise(width, height, seed=0):
    """A picture in which every pixel is known from every other."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def stained(width=2048, height=1536):
    """Glass with a disk of tissue (a hole in it), a speck, a stroke of ink and a black edge."""
    y, x = np.mgrid[:height, :width]
    image = np.empty((height, width, 3), np.uint8)
    image[:] = GLASS
    image[np.hypot(x - 800, y - 700) < 500] = PINK
    image[np.hypot(x - 800, y - 700) < 20] = GLASS
    image[np.hypot(x - 1700, y - 300) < 24] = PINK
    image[1100:1300, 1500:1900] = BLUE_INK
    image[:, :64] = (2, 1, 0)
    return image


def pyramid(image, levels=3):
    found = [image]
    for _ in range(levels - 1):
        found.append(halved(found[-1].transpose(2, 0, 1)).transpose(1, 2, 0))
    return found


def write_tiff(
    path, images, *, spacing=None, tile=128, compression="deflate", subifds=False, **more
):
    """A tiled BigTIFF pyramid; spacing in micrometres by the resolution."""
    given = {}
    if spacing is not None:
        given = {"resolution": (1e4 / spacing, 1e4 / spacing), "resolutionunit": "CENTIMETER"}
    colours = "rgb" if images[0].ndim == 3 else "minisblack"
    options = {
        "tile": (tile, tile),
        "compression": compression,
        "photometric": colours,
        "metadata": None,
    }
    with tifffile.TiffWriter(path, bigtiff=True, ome=False) as file:
        first = {"subifds": len(images) - 1} if subifds else {}
        file.write(images[0], **options, **given, **first, **more)
        for image in images[1:]:
            file.write(image, **options, subfiletype=1)
    return path


def write_ome_tiff(path, images, spacing):
    options = {"tile": (128, 128), "compression": "deflate", "photometric": "rgb"}
    metadata = {"axes": "YXS"}
    for axis in "XY":
        metadata |= {f"PhysicalSize{axis}": spacing, f"PhysicalSize{axis}Unit": "µm"}
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(images[0], **options, subifds=len(images) - 1, metadata=metadata)
        for image in images[1:]:
            file.write(image, **options, subfiletype=1)
    return path


def write_dicom(folder, images, spacing, *, sparse=False, missing=(), tile=128):
    """One file a level; the first leaves out the tiles ``missing`` (row, column) if sparse."""
    folder.mkdir()
    series = pydicom.uid.generate_uid(entropy_srcs=["slide"])
    for level, image in enumerate(images):
        height, width = image.shape[:2]
        rows, columns = -(-height // tile), -(-width // tile)
        padded = np.full((rows * tile, columns * tile, 3), 255, np.uint8)
        padded[:height, :width] = image
        places = [(i, j) for i in range(rows) for j in range(columns)]
        if sparse and level == 0:
            places = [p for p in places if p not in missing]
        data = Dataset()
        data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.6"
        data.SOPInstanceUID = f"{series[:40]}.{level}"
        data.SeriesInstanceUID, data.StudyInstanceUID = series, f"{series[:40]}.9"
        data.FrameOfReferenceUID, data.Modality = f"{series[:40]}.8", "SM"
        kind = ["DERIVED", "RESAMPLED"] if level else ["ORIGINAL", "NONE"]
        data.ImageType = [kind[0], "PRIMARY", "VOLUME", kind[1]]
        data.Rows = data.Columns = tile
        data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
        data.BitsAllocated = data.BitsStored = 8
        data.HighBit, data.PixelRepresentation = 7, 0
        data.TotalPixelMatrixColumns, data.TotalPixelMatrixRows = width, height
        data.TotalPixelMatrixFocalPlanes = data.NumberOfOpticalPaths = 1
        data.DimensionOrganizationType = "TILED_SPARSE" if sparse else "TILED_FULL"
        data.ImageOrientationSlide = [0, 1, 0, 1, 0, 0]
        optical, measures, shared = Dataset(), Dataset(), Dataset()
        optical.OpticalPathIdentifier = "0"
        measures.PixelSpacing = [spacing * 2**level / 1000] * 2
        measures.SliceThickness = 0.001
        shared.PixelMeasuresSequence = [measures]
        data.OpticalPathSequence, data.SharedFunctionalGroupsSequence = [optical], [shared]
        if sparse:
            data.PerFrameFunctionalGroupsSequence = [_frame(*p, tile) for p in places]
        data.NumberOfFrames = len(places)
        tiles = [padded[i * tile : (i + 1) * tile, j * tile : (j + 1) * tile] for i, j in places]
        data.PixelData = b"".join(t.tobytes() for t in tiles)
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = data.SOPClassUID
        meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        data.file_meta = meta
        data.save_as(folder / f"{level}.dcm", enforce_file_format=True)
    return folder


def _frame(row, column, tile):
    place, frame = Dataset(), Dataset()
    place.RowPositionInTotalImagePixelMatrix = row * tile + 1
    place.ColumnPositionInTotalImagePixelMatrix = column * tile + 1
    place.XOffsetInSlideCoordinateSystem = place.YOffsetInSlideCoordinateSystem = 0
    place.ZOffsetInSlideCoordinateSystem = 0
    frame.PlanePositionSlideSequence = [place]
    return frame
