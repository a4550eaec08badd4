import base64
import io
import json
import re

import numpy as np
import pytest
from matplotlib.image import imread

from medjax.data.prepare import prepare
from medjax.data.prepare.outliers import outliers
from medjax.data.prepare.report import html, summary
from medjax.data.prepare.thumbnails import HEIGHT, thumbnail


def record(seed=0, **changes):
    """What is recorded of an ordinary case, some of it changed."""
    noise = np.random.default_rng(seed).normal(0, 1, 2)
    numbers = {"min": 0, "max": 900, "mean": 100 + noise[0], "sd": 30 + noise[1] / 4}
    numbers |= {"p1": 1, "p50": 90, "p99": 300, "zero": 0.3, "at_min": 0.3, "at_max": 1e-6}
    known = {"shape": [9, 8, 7], "source": {"shape": [9, 8, 7], "spacing": [1.0, 1.0, 3.0]}}
    known |= {"voxels": str(seed), "labels": {"0": 5, "1": 5}, "statistics": {"": numbers}}
    for name, value in changes.items():
        if name in numbers:
            numbers[name] = value
        elif name in known["source"]:
            known["source"][name] = value
        else:
            known[name] = value
    return known


def found(**odd):
    """Findings in twenty ordinary cases and an odd one."""
    told = outliers({f"c{n}": record(n) for n in range(20)} | {"odd": record(99, **odd)})
    assert set(told) <= {"odd"}
    return "; ".join(told.get("odd", ()))


@pytest.mark.parametrize(
    ("odd", "text"),
    [
        ({}, ""),
        ({"spacing": [3.0, 1.0, 1.0]}, ""),  # the same voxels, stored in another order
        ({"spacing": [1.0, 1.0, 3.2]}, ""),
        ({"spacing": [1.0, 1.0, 5.0]}, "spacing 1 × 1 × 5 mm (usual, sorted: 1 × 1 × 3 mm)"),
        ({"shape": [40, 8, 7]}, "shape 40 × 8 × 7 (usual, sorted: 7 × 8 × 9)"),
        ({"at_max": 0.04}, "4.0% of voxels at the highest value"),
        ({"at_min": 0.9}, "90% of voxels at the lowest value"),
        ({"min": 7, "max": 7}, "one value everywhere"),
        ({"mean": 150}, "mean 150 (usual: 100"),
        ({"labels": {"0": 10}}, "an empty label"),
        ({"labels": {}}, ""),
        ({"labels": {"0": 5, "1": 5, "4": 1}}, "labels that few cases have: 4"),
        ({"labels": {"0": 5, "4": 1}}, "no label 1, which most cases have"),
    ],
)
def test_what_is_odd(odd, text):
    assert (text in found(**odd)) if text else not found(**odd)


def test_duplicates_are_found_whatever_their_names_and_numbers():
    told = outliers({"a": record(1), "b": record(1), "c": record(2)})
    assert told == {"a": ["the same voxels as b"], "b": ["the same voxels as a"]}


def test_of_few_cases_none_is_unlike_the_others():
    assert not outliers({"a": record(1), "b": record(2, mean=1e6)})


def test_a_page_that_stands_alone_and_escapes_names():
    records = {"<script>": record(1), "b": record(2, labels={"0": 10})}
    told = summary(records, {"normalise": ["none"], "plan": {"spacing": None}}, {"x&y": "<bad>"})
    page = html("<store>", told, lambda case: b"png of " + case.encode())
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "&lt;bad&gt;" in page
    assert re.search(r"default-src 'none'", page)
    assert not re.findall(r"(?:https?:)?//[a-z]", page)
    assert "an empty label" in page
    assert "1 to look at; 1 skipped" in page
    json.dumps(told, allow_nan=False)


def test_of_many_cases_some_are_drawn_and_the_odd_ones_first():
    records = {f"c{n:04}": record(n) for n in range(1100)}
    records["c0500"] = record(0, labels={"0": 1})
    asked = []
    page = html("x", summary(records, {}, {}), lambda case: asked.append(case) or b"")
    assert asked[0] in ("c0000", "c0500")
    assert "c0500" in asked
    assert len(asked) <= 120
    assert asked[-1] == "c1099"
    assert "100 more cases are in report.json" in page


def test_a_thumbnail_shows_planes_upright_and_outlines_labels():
    image = np.zeros((40, 20), np.float32)
    image[:, 15:] = 1  # up
    label = np.zeros((40, 20), np.uint8)
    label[10:30, 2:9] = 1
    png = thumbnail([(image, label, (1.0, 2.0))] * 3)
    picture = (255 * imread(io.BytesIO(png))[..., :3]).round().astype(int)
    assert picture.shape == (HEIGHT, 3 * (HEIGHT + 4), 3)
    grey = picture[:, : HEIGHT // 8]
    assert (grey[: HEIGHT // 5] > 200).all()
    assert (grey[HEIGHT // 3 :] == 0).all()
    outline = (picture == (86, 180, 233)).all(-1)[:, :HEIGHT]
    rows, columns = np.nonzero(outline)
    assert rows.min() > HEIGHT / 2
    assert abs(columns.min() - HEIGHT // 4) <= 1
    assert abs(columns.max() - HEIGHT * 3 // 4) <= 1
    assert not outline[int(rows.mean()), HEIGHT // 2]


def test_the_report_of_a_store(scan, labels, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        scan(f"in/images/{name}.nii", seed=seed)
    scan("in/labels/a.nii", labels)
    scan("in/labels/b.nii", 0 * labels)
    prepare(tmp_path / "in", tmp_path / "out", workers=0)
    told = json.loads((tmp_path / "out/report.json").read_text())
    assert told["outliers"] == {
        "a": ["the same voxels as b"],
        "b": ["an empty label", "the same voxels as a"],
    }
    assert told["labels"] == {"1": 0.5, "7": 0.5}
    page = (tmp_path / "out/report.html").read_text()
    pictures = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page)
    assert len(pictures) == 3
    assert imread(io.BytesIO(base64.b64decode(pictures[0]))).shape[0] == HEIGHT
