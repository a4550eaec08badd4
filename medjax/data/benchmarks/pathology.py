"""Whole slides: Camelyon16."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medjax.core.errors import InputError
from medjax.data.case import Case

from .definition import Card, Sample
from .layouts import file, lines, matching, number, within, xml
from .readers import annotations

OVERVIEW = 2048
"""Pixels along the longer edge of a sample's overview of its slide."""


class Slides:
    """One sample a slide: ``image`` uint8 ``(y, x, colour)``, an overview of at most
    `OVERVIEW` pixels; ``downsample`` float32 ``(2,)``, pixels of the slide along x and y
    for one of it; ``contours`` float32 ``(point, 3)``: the number of the contour, x and y
    in pixels of the slide. Tiles are for ``medjax data prepare``."""

    def count(self, case: Case) -> int:
        return 1

    def read(self, case: Case, card: Card) -> Sequence[Sample]:
        from medjax.data.formats.slide import open_slide

        with open_slide(case.images["slide"]) as slide:
            image = slide.thumbnail(OVERVIEW)
            width, height = slide.levels[0][:2]
        downsample = np.asarray([width / image.shape[1], height / image.shape[0]], np.float32)
        points = np.zeros((0, 3), np.float32) if case.label is None else contours(case.label)
        sample = {"image": image, "downsample": downsample, "contours": points}
        return [sample | annotations(case, card)]


def contours(path: Path) -> np.ndarray:
    """The outlines in an XML file of ASAP: float32 ``(point, 3)``, contour, x and y.

    Raises:
        InputError: naming the path, for another file.
    """
    points = [
        (float(i), number(path, point.get("X", "")), number(path, point.get("Y", "")))
        for i, outline in enumerate(xml(path).iterfind("./Annotations/Annotation"))
        for point in outline.iterfind("./Coordinates/Coordinate")
    ]
    if not points or not np.isfinite(points).all():
        raise InputError(path, "annotations with coordinates", "none")
    return np.asarray(points, np.float32)


def _find(folder: Path) -> list[Case]:
    cases = []
    for kind, tumour in (("normal", 0), ("tumor", 1)):
        place = within(folder, f"training/{kind}")
        for path, _ in matching(place, f"{kind}_*.tif", rf"{kind}_\d{{3}}\.tif"):
            label = folder / "training" / "lesion_annotations" / f"{path.stem}.xml"
            cases.append(_case(path, tumour, file(label) if tumour else None, "train"))
    if (folder / "testing").is_dir():
        truth = folder / "testing" / "reference.csv"
        tumours = {}
        for row in lines(truth):
            if len(row) < 2 or row[1].strip().lower() not in ("normal", "tumor"):
                raise InputError(truth, "a slide and Normal or Tumor in every row", "another row")
            tumours[Path(row[0].strip()).stem] = int(row[1].strip().lower() == "tumor")
        for path, _ in matching(folder / "testing" / "images", "test_*.tif", r"test_\d{3}\.tif"):
            if path.stem not in tumours:
                raise InputError(truth, f"a row for {path.stem}", "none")
            label = folder / "testing" / "lesion_annotations" / f"{path.stem}.xml"
            tumour = tumours[path.stem]
            cases.append(_case(path, tumour, file(label) if tumour else None, "test"))
    return cases


def _case(path: Path, tumour: int, label: Path | None, split: str) -> Case:
    attributes = {"tumour": tumour}
    return Case(path.stem, path.stem, {"slide": path}, "", label, split, attributes)


CARDS = (
    Card(
        name="camelyon16",
        title="CAMELYON16",
        about="Whole slides of sentinel lymph nodes, H&E, with the outlines of metastases.",
        modality="histology",
        task="detection, classification",
        subjects="399 slides: 270 to train, 129 to test",
        size="about 700 GB",
        licence="CC0",
        terms="Cite the papers.",
        page="https://camelyon17.grand-challenge.org/Data/ (also doi:10.5524/100439)",
        citation=(
            "Ehteshami Bejnordi et al. 2017, JAMA 318(22):2199-2210, "
            "doi:10.1001/jama.2017.14585; Litjens et al. 2018, GigaScience 7(6):giy065"
        ),
        layout=(
            "FOLDER/\n  training/normal/normal_001.tif, ...\n  training/tumor/tumor_001.tif, ...\n"
            "  training/lesion_annotations/tumor_001.xml, ...   (unzipped)\n"
            "  testing/images/test_001.tif, ...\n"
            "  testing/reference.csv                            (slide, Normal or Tumor, ...)\n"
            "  testing/lesion_annotations/test_001.xml, ...     (unzipped)"
        ),
        splits="train and test by slide; the owners do not say whose it is.",
        find=_find,
        reader=Slides(),
        channels=("red", "green", "blue"),
        classes=("tumour",),
    ),
)
