import json

import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.data import read_image
from medjax.data.case import Case
from medjax.data.prepare import (
    Normalisation,
    Settings,
    prepare_case,
    to_source_grid,
    to_source_intensity,
)
from medjax.data.prepare.normalise import normalisation
from medjax.data.prepare.plan import median_spacing

OBLIQUE = np.asarray(
    # x is superior, y is left, z is posterior, all a little off the axes.
    [[0.1, -1.5, 0.1, 40.0], [0.2, 0.1, -2.0, 30.0], [1.2, 0.1, 0.1, -25.0], [0, 0, 0, 1.0]]
)
MARKER = np.asarray([17.0, -6.0, 4.0])  # mm


def ball(shape=(34, 30, 28), radius=7.0):
    where = OBLIQUE[:3, :3] @ np.indices(shape).reshape(3, -1) + OBLIQUE[:3, 3:]
    return np.linalg.norm(where - MARKER[:, None], axis=0).reshape(shape) < radius


def case(image=None, label=None, **images):
    found = {"": image} if image is not None else images
    return Case("c", "s", found, label=label)


def centre(image):
    """Of what is above half the maximum, in millimetres."""
    places = np.argwhere(image.array > image.array.max() / 2).mean(0)
    return image.affine[:3, :3] @ places + image.affine[:3, 3]


@pytest.fixture
def marked(scan):
    inside = ball()
    return case(
        scan("image.nii.gz", 50 * inside.astype(np.float32), affine=OBLIQUE),
        scan("label.nii.gz", 3 * inside.astype(np.uint8), affine=OBLIQUE),
    )


@pytest.mark.parametrize("crop", [False, True])
@pytest.mark.parametrize("spacing", [None, (1.0, 1.0, 1.0), (2.2, 1.7, 3.0)])
def test_a_marker_stays_where_it_is_in_millimetres(marked, spacing, crop):
    prepared = prepare_case(marked, Settings(spacing=spacing, crop=crop))
    for image in (prepared.image, prepared.label):
        assert np.abs(centre(image) - MARKER).max() < max(image.spacing) / 2
        # Axes run right, anterior, superior.
        assert (np.argmax(np.abs(image.affine[:3, :3]), axis=0) == (0, 1, 2)).all()
        assert (np.diag(image.affine)[:3] > 0).all()
    assert prepared.image.array.shape == prepared.label.array.shape
    np.testing.assert_array_equal(prepared.image.affine, prepared.label.affine)
    assert set(np.unique(prepared.label.array)) == {0, 3}
    json.dumps(prepared.record, allow_nan=False)


def test_cropped_to_what_is_not_0_in_image_or_label(scan):
    image, label = np.zeros((9, 8, 7), np.int16), np.zeros((9, 8, 7), np.uint8)
    image[2:4, 3, 4], label[6, 1:3, 5] = -3, 1
    found = case(scan("i.nii", image), scan("l.nii", label))
    prepared = prepare_case(found, Settings(crop=True))
    np.testing.assert_array_equal(prepared.image.array, image[2:7, 1:4, 4:6])
    with pytest.raises(InputError, match="case c: expected voxels that are not 0"):
        prepare_case(case(scan("z.nii", 0 * image)), Settings(crop=True))


@pytest.mark.parametrize("crop", [False, True])
def test_undone_exactly_where_nothing_was_resampled(marked, scan, crop):
    settings = Settings(crop=crop, normalise=Normalisation("zscore-foreground"))
    noise = np.random.default_rng(0).normal(100, 20, ball().shape)
    array = np.where(ball(), noise, 0).astype(np.float32)
    scan("image.nii.gz", array, affine=OBLIQUE)
    prepared = prepare_case(marked, settings)
    label = to_source_grid(prepared.label.array, prepared.record, labels=True)
    original = read_image(marked.label)
    np.testing.assert_array_equal(label.array, original.array)
    np.testing.assert_array_equal(label.affine, original.affine)
    back = to_source_intensity(prepared.image.array, prepared.record)
    back = to_source_grid(back, prepared.record, labels=False).array
    np.testing.assert_allclose(back[ball()], array[ball()], rtol=1e-5)


def test_undone_onto_the_grid_of_the_scan_after_resampling(marked):
    prepared = prepare_case(marked, Settings(spacing=(1.0, 1.0, 1.0), crop=True))
    label = to_source_grid(prepared.label.array, prepared.record, labels=True)
    original = read_image(marked.label).array
    overlap = 2 * np.sum((label.array == 3) & (original == 3)) / np.sum(original == 3)
    assert label.array.shape == original.shape
    assert set(np.unique(label.array)) == {0, 3}
    assert overlap / (1 + np.sum(label.array == 3) / np.sum(original == 3)) > 0.95  # Dice
    two = np.stack([prepared.image.array] * 2, -1)
    assert to_source_grid(two, prepared.record, labels=False).array.shape == (*original.shape, 2)
    with pytest.raises(InputError, match="array: expected the prepared shape"):
        to_source_grid(original, prepared.record, labels=True)


def test_faces_go_before_anything_is_stored_and_failures_name_the_case(scan, monkeypatch):
    from medjax.data.prepare import deface

    found = case(scan("a.nii"))
    with pytest.raises(InputError, match=r"case c: .*expected"):
        prepare_case(case(scan("z.nii", np.zeros((9, 8, 7), np.float32))), Settings(deface=True))
    monkeypatch.setattr(deface, "deface", lambda image: image.replace(array=0 * image.array))
    assert not prepare_case(found, Settings(deface=True)).image.array.any()


def test_flat_pictures_stay_flat_and_are_undone(scan):
    array = np.random.default_rng(0).integers(0, 255, (12, 10)).astype(np.float32)
    prepared = prepare_case(case(scan("p.nii", array)), Settings(spacing=(2.0, 2.0, 2.0)))
    assert prepared.image.array.shape == (6, 5)
    undone = to_source_grid(prepared.image.array, prepared.record, labels=False)
    assert undone.array.shape == (12, 10)


def test_channels_are_joined_in_the_order_asked_for(scan):
    files = {"T1": scan("t1.nii", seed=1), "T2": scan("t2.nii", seed=2)}
    prepared = prepare_case(case(**files), Settings(channels=("T2", "T1")))
    assert prepared.image.channels == ("T2", "T1")
    np.testing.assert_array_equal(prepared.image.array[..., 1], read_image(files["T1"]).array)
    assert set(prepared.record["statistics"]) == {"T1", "T2"}


def test_times_become_channels(scan):
    series = scan("t.nii", np.random.default_rng(0).normal(size=(5, 5, 4, 3)).astype(np.float32))
    prepared = prepare_case(case(series), Settings(spacing=(2.0, 2.0, 2.0)))
    assert prepared.image.array.shape[-1] == len(prepared.image.channels) == 3


def test_geometry_of_channels_and_labels_is_checked(scan, labels):
    image, moved = scan("i.nii"), np.diag([1, 1, 1, 1.0])
    moved[:3, 3] = (2, 0, 0)
    cases = {
        "expected the grid of its image": case(image, scan("l.nii", labels, affine=moved)),
        "got shape \\(9, 8, 6\\) instead": case(image, scan("m.nii", labels[:, :, :6])),
        "j.nii: expected the grid of i.nii": case(a=image, b=scan("j.nii", affine=moved)),
    }
    for message, found in cases.items():
        with pytest.raises(InputError, match=message):
            prepare_case(found, Settings())
    found = cases["expected the grid of its image"]
    prepared = prepare_case(found, Settings(resample_labels=True))
    np.testing.assert_array_equal(prepared.label.array[2:], labels[:-2])
    assert not prepared.label.array[:2].any()
    # Headers in single precision differ by far less than a voxel.
    near = np.eye(4)
    near[:3, 3] = 1e-3
    assert prepare_case(case(image, scan("n.nii", labels, affine=near)), Settings()).label


def test_labels_are_whole_numbers_of_0_and_more(scan, labels):
    image = scan("i.nii")
    floats = prepare_case(case(image, scan("f.nii", labels.astype(np.float32))), Settings())
    np.testing.assert_array_equal(floats.label.array, labels)
    assert floats.label.array.dtype.kind in "iu"
    for array, message in (
        (labels + np.float32(0.5), "got fractions"),
        (-labels.astype(np.int16), "labels of 0 and more, got -7 to 0"),
    ):
        with pytest.raises(InputError, match=message):
            prepare_case(case(image, scan("g.nii", array)), Settings())


@pytest.mark.parametrize(
    ("method", "window", "law"),
    [
        ("zscore", None, lambda x, y: (abs(y.mean()) < 1e-5) & (abs(y.std() - 1) < 1e-5)),
        (
            "zscore-foreground",
            None,
            lambda x, y: (
                (abs(y[x != 0].mean()) < 1e-5)
                & (abs(y[x != 0].std() - 1) < 1e-5)
                & (y[x == 0] == 0).all()
            ),
        ),
        ("percentile", None, lambda x, y: (y.min() == 0) & (y.max() == 1) & (y == 0).any()),
        (
            "ct-window",
            (80.0, 120.0),
            lambda x, y: np.allclose(y, (x.clip(80, 120) - 80) / 40, atol=1e-6),
        ),
    ],
)
def test_normalisations(scan, method, window, law):
    array = np.random.default_rng(0).normal(100, 20, (9, 8, 7)).astype(np.float32)
    array[:3] = 0
    settings = Settings(normalise=Normalisation(method, window))
    prepared = prepare_case(case(scan("a.nii", array)), settings)
    assert law(array, prepared.image.array)
    back = to_source_intensity(prepared.image.array, prepared.record)
    low, high = (window or (-np.inf, np.inf)) if method != "percentile" else np.percentile(
        array, (0.5, 99.5)
    )  # fmt: skip
    kept = (array > low) & (array < high) & (array != 0)
    np.testing.assert_allclose(back[kept], array[kept], rtol=1e-4)


def test_a_standard_histogram_maps_landmarks_of_every_scan_to_the_same_values(scan):
    from medjax.data.prepare.normalise import landmark_values, standard_histogram

    rng = np.random.default_rng(0)
    scans = [rng.gamma(2, 20, (9, 8, 7)).astype(np.float32) * gain for gain in (1, 5)]
    landmarks = standard_histogram([landmark_values("x", s) for s in scans])
    settings = Settings(normalise=Normalisation("histogram"))
    for number, array in enumerate(scans):
        prepared = prepare_case(case(scan(f"{number}.nii", array)), settings, {"": landmarks})
        median = np.median(prepared.image.array)
        assert abs(median - landmarks[5]) < 0.5


@pytest.mark.parametrize("method", ["zscore", "zscore-foreground", "percentile"])
def test_scans_of_one_value_are_named(scan, method):
    found = case(scan("a.nii", np.full((5, 5, 5), 4, np.int16)))
    with pytest.raises(InputError, match="case c: expected intensities that differ"):
        prepare_case(found, Settings(normalise=Normalisation(method)))


def test_the_hash_is_of_the_voxels_not_of_the_file(scan):
    array = np.arange(60).reshape(3, 4, 5)
    same = scan("a.nii", array.astype(np.int16)), scan("b.nii.gz", array.astype(np.float32))
    flipped = scan("c.nii", array[::-1].astype(np.int16), affine=np.diag([-1, 1, 1, 1.0]))
    other = scan("d.nii", array[::-1].astype(np.int16))
    one, two, three, four = (
        prepare_case(case(path), Settings()).record["voxels"] for path in (*same, flipped, other)
    )
    assert one == two == three != four


def test_the_spacing_that_nnunet_would_plan():
    shapes = [(512, 512, 40)] * 5
    thick = [(0.7, 0.7, z) for z in (2.0, 5.0, 5.0, 5.0, 6.0)]
    # The 10th percentile of the thick axis: between 2 and 5, at 0.4 of the way.
    np.testing.assert_allclose(
        median_spacing(list(zip(shapes, thick, strict=True))), (0.7, 0.7, 3.2)
    )
    # Not where images have as many voxels along it.
    many = [((512, 512, 400), s) for s in thick]
    assert median_spacing(many) == (0.7, 0.7, 5.0)
    fine = [(shape, (1.0, 1.0, z)) for shape, z in zip(shapes, (0.5, 5, 5, 5, 5), strict=True)]
    assert median_spacing(fine)[2] >= 1.0
    assert median_spacing([((9, 9, 9), (1.0, 1.0, 1.0)), ((9, 9, 9), (2.0, 1.0, 1.0))]) == (
        1.5, 1.0, 1.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Settings(spacing=(1.0, 0.0, 1.0)), "spacing: expected three positive"),
        (lambda: Settings(spacing="mean"), "spacing: expected three positive lengths in mm, or"),
        (lambda: Settings(interpolation="x"), "interpolation: expected one of cubic"),
        (lambda: Settings(values="int8"), "values: expected one of int16"),
        (lambda: Normalisation("x"), "normalise: expected one of none"),
        (lambda: Normalisation("ct-window"), "LOW HIGH after ct-window, and there only, got none"),
        (lambda: Normalisation("zscore", (0.0, 1.0)), "got a window for zscore"),
        (lambda: Normalisation("ct-window", (1.0, 1.0)), "LOW below HIGH"),
        (lambda: normalisation(("ct-window", "a", "b")), "numbers after the method, got a b"),
        (lambda: normalisation(("ct-window", "1")), "LOW HIGH after ct-window, got 1 numbers"),
    ],
)
def test_settings_that_cannot_be(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_settings_are_read_as_written():
    assert normalisation(("ct-window", "-160", "240")) == Normalisation("ct-window", (-160, 240))
    assert normalisation(()) == Normalisation()
