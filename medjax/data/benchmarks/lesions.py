"""Lesions in CT: LUNA16, LIDC-IDRI, DeepLesion."""

from __future__ import annotations

import tempfile
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

import numpy as np

from medjax.core.errors import InputError
from medjax.data.case import Case
from medjax.data.image import Image

from .definition import Card
from .layouts import Row, file, known, matching, number, table, xml
from .readers import Pictures, Volumes


class SeriesBesideOthers(Volumes):
    """`Volumes` of DICOM files ``*.dcm`` that share their folder with files of other kinds."""

    def _image(self, path: Path) -> Image:
        with tempfile.TemporaryDirectory() as alone:
            for one in path.glob("*.dcm"):
                (Path(alone) / one.name).symlink_to(one.resolve())
            try:
                return super()._image(Path(alone))
            except InputError as error:
                what = error.what.replace(alone, str(path))
                raise InputError(what, error.expected, error.got) from None


def _luna(folder: Path) -> list[Case]:
    path = folder / "annotations.csv"
    nodules = defaultdict(list)
    columns = ("coordX", "coordY", "coordZ", "diameter_mm")
    for row in table(path, ("seriesuid", *columns)):
        x, y, z, size = (number(path, row[name]) for name in columns)
        # The table is in ITK's axes, which run to the left and to the back.
        nodules[row["seriesuid"]].append((-x, -y, z, size))
    cases = []
    for part, match in matching(folder, "subset*", r"subset(\d)"):
        for scan, _ in matching(part, "**/*.mhd", r".+\.mhd"):
            file(scan.with_suffix(".raw"))
            cases.append(
                Case(
                    id=scan.stem,
                    subject=scan.stem,
                    images={"CT": scan},
                    attributes={"fold": int(match[1])},
                    boxes=tuple(nodules.get(scan.stem, ())),
                )
            )
    return cases


def _lidc(folder: Path) -> list[Case]:
    cases = []
    for place, _ in matching(folder, "**/LIDC-IDRI-*", r"LIDC-IDRI-\d{4}"):
        for path in sorted(place.rglob("*.xml")):
            root = xml(path)
            if not root.tag.endswith("LidcReadMessage"):
                continue  # the readings of radiographs have another root
            if not any(path.parent.glob("*.dcm")):
                raise InputError(path.parent, "DICOM files of the series beside its XML", "none")
            series = root.findtext("{*}ResponseHeader/{*}SeriesInstanceUid", "")
            cases.append(
                Case(
                    id=f"{place.name}/{path.parent.name}",
                    subject=place.name,
                    images={"CT": path.parent},
                    session=series.strip(),
                    boxes=_nodules(path, root),
                )
            )
    return cases


def _nodules(path: Path, root: ElementTree.Element) -> tuple[tuple[float, ...], ...]:
    """The box around each reader's contours of each nodule of 3 mm and more."""
    boxes = []
    for reader, session in enumerate(root.iterfind("{*}readingSession")):
        for nodule in session.iterfind("{*}unblindedReadNodule"):
            malignancy = nodule.findtext("{*}characteristics/{*}malignancy")
            if malignancy is None:  # smaller ones have a mark and no contour
                continue
            points = [
                [number(path, edge.findtext(f"{{*}}{axis}Coord", "")) for axis in "xy"]
                + [number(path, roi.findtext("{*}imageZposition", ""))]
                for roi in nodule.iterfind("{*}roi")
                if roi.findtext("{*}inclusion", "").strip().upper() == "TRUE"
                for edge in roi.iterfind("{*}edgeMap")
            ]
            if not points or not np.isfinite(points).all():
                raise InputError(path, "a contour for every nodule with characteristics", "none")
            corners = np.concatenate([np.min(points, 0), np.max(points, 0)])
            boxes.append((*map(float, corners), float(reader), number(path, malignancy)))
    return tuple(boxes)


def _deeplesion(folder: Path) -> list[Case]:
    path = folder / "DL_info.csv"
    columns = ("File_name", "Patient_index", "Study_index", "Series_ID", "Bounding_boxes")
    more = ("Coarse_lesion_type", "Spacing_mm_px_", "Train_Val_Test")
    slices = defaultdict(list)
    for row in table(path, (*columns, *more)):
        slices[row["File_name"]].append(row)
    return [_key_slice(folder, path, name, rows) for name, rows in slices.items()]


def _key_slice(folder: Path, path: Path, name: str, rows: list[Row]) -> Case:
    first = rows[0]
    series, _, index = name.rpartition("_")  # 000001_01_01_109.png
    split = {"1": "train", "2": "validation", "3": "test"}.get(first["Train_Val_Test"].strip())
    if split is None:
        raise InputError(path, "1, 2 or 3 in Train_Val_Test", first["Train_Val_Test"])
    boxes = []
    for row in rows:
        corners = _numbers(path, row["Bounding_boxes"], 4)
        boxes.append((*corners, number(path, row["Coarse_lesion_type"])))
    x, _, z = _numbers(path, first["Spacing_mm_px_"], 3)
    return Case(
        id=Path(name).stem,
        subject=first["Patient_index"],
        images={"CT": file(folder / "Images_png" / series / index)},
        session=first["Study_index"],
        split=split,
        attributes=known(
            sex=first.get("Patient_gender"),
            age=number(path, first.get("Patient_age", "")),
            pixel_mm=x,
            slice_mm=z,
        ),
        boxes=tuple(boxes),
    )


def _numbers(path: Path, cell: str, count: int) -> tuple[float, ...]:
    found = tuple(number(path, part) for part in cell.split(","))
    if len(found) != count:
        raise InputError(path, f"{count} numbers with commas in one cell", len(found))
    return found


CARDS = (
    Card(
        name="luna16",
        title="LUNA16 (Lung Nodule Analysis 2016)",
        about="Thoracic CT of LIDC-IDRI with the nodules that three of four readers accepted.",
        modality="CT",
        task="detection",
        subjects="888 scans (1,186 nodules)",
        size="about 120 GB",
        licence="CC BY 4.0",
        terms="Registration with grand-challenge.org; cite LUNA16 and LIDC-IDRI.",
        page="https://luna16.grand-challenge.org/Data/",
        citation=(
            "Setio et al. 2017, Medical Image Analysis 42:1-13, doi:10.1016/j.media.2017.06.015"
        ),
        layout=(
            "FOLDER/\n  annotations.csv\n  subset0/SERIES_UID.mhd, SERIES_UID.raw, ...\n"
            "  ...\n  subset9/   (any of the ten)"
        ),
        splits=(
            "ten folds for cross-validation, attribute 'fold', by scan: the files do not say "
            "which scans are of one person, and LIDC-IDRI has eight people with two."
        ),
        find=_luna,
        reader=Volumes(),
        channels=("CT",),
        box=("x in RAS mm", "y", "z", "diameter in mm"),
    ),
    Card(
        name="lidc_idri",
        title="LIDC-IDRI",
        about="Thoracic CT with the nodules of four readers, each by contours and ratings.",
        modality="CT",
        task="detection, rating",
        subjects="1,010 (1,018 scans)",
        size="about 125 GB",
        licence="CC BY 3.0",
        terms="Cite the data and the paper, and acknowledge NCI and FNIH as the page asks.",
        page="https://doi.org/10.7937/K9/TCIA.2015.LO9QL9SX",
        citation="Armato et al. 2011, Medical Physics 38:915-931, doi:10.1118/1.3528204",
        layout=(
            "FOLDER/.../LIDC-IDRI-0001/STUDY/SERIES/\n  *.dcm\n"
            "  069.xml   the readings of this series"
        ),
        splits="none: split by subject.",
        find=_lidc,
        reader=SeriesBesideOthers(),
        channels=("CT",),
        box=(
            "x0 in pixels",
            "y0",
            "z0 in DICOM's mm",
            "x1",
            "y1",
            "z1",
            "reader",
            "malignancy 1 to 5",
        ),
    ),
    Card(
        name="deeplesion",
        title="DeepLesion",
        about="CT slices in which radiologists had measured lesions of all kinds.",
        modality="CT",
        task="detection",
        subjects="4,427 (32,120 key slices, 32,735 lesions)",
        size="about 225 GB",
        licence="NIH's terms of use for DeepLesion",
        terms="No application; see the page for what the NIH Clinical Center asks; cite.",
        page="https://nihcc.app.box.com/v/DeepLesion",
        citation=(
            "Yan et al. 2018, Journal of Medical Imaging 5(3):036501, doi:10.1117/1.JMI.5.3.036501"
        ),
        layout=(
            "FOLDER/\n  DL_info.csv\n  Images_png/000001_01_01/109.png, ...   HU + 32768\n"
            "Samples are the key slices; their neighbours lie in the same folders."
        ),
        splits="train, validation, test by patient (70, 15, 15 %).",
        find=_deeplesion,
        reader=Pictures(offset=32768),
        channels=("CT",),
        box=("x0 in pixels", "y0", "x1", "y1", "type 1 to 8, -1 unknown"),
    ),
)
