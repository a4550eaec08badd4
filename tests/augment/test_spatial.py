"""Deformation against SciPy, and that everything in a batch moves together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from medjax import augment
from medjax.augment import Boxes, Image, Labels, Points
from medjax.augment.spatial import deform_map
from medjax.core.errors import InputError
from medjax.image.spline import spline_field

KEY = jax.random.key(1)


def batched(**entries):
    count = len(next(iter(entries.values())))
    return {**{k: jnp.asarray(v) for k, v in entries.items()}, "index": jnp.arange(count)}


@pytest.mark.parametrize("shape", [(16, 20), (10, 12, 14)])
def test_one_interpolation_as_scipy_does_it_and_points_with_it(shape):
    n, rng = len(shape), np.random.default_rng(0)
    entries = {"image": Image(outside=0.5), "label": Labels(outside=9), "points": Points()}
    options = {
        "rotation": 20,
        "zoom": 0.1,
        "scale": 0.1,
        "shear": 0.1,
        "translation": 1,
        "mirror": (-1,),
        "elastic": 0.3,
        "intervals": 2,
        "spacing": (2.0, 1.0, 1.5)[:n],
    }
    image = rng.random((2, *shape), np.float32)
    labels = rng.integers(0, 9, (2, *shape)).astype(np.int16)
    points = (rng.random((2, 6, n)) * (np.asarray(shape) - 1)).astype(np.float32)
    batch = batched(image=image, label=labels, points=points)
    out = jax.jit(augment.deform(**options, entries=entries))(KEY, batch)

    voxel = jnp.asarray(options.pop("spacing"))

    @jax.jit
    @jax.vmap
    def draw(key):
        drawn = deform_map(key, voxel, shape, shape, **options)
        return drawn.matrix, drawn.offset, spline_field(drawn.control, shape)

    maps = jax.tree.map(lambda x: np.asarray(x, float), draw(augment.keyed(KEY, batch)))
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).astype(float)
    for i in range(2):
        matrix, offset, field = (v[i] for v in maps)
        where = np.moveaxis((index + np.moveaxis(field, 0, -1)) @ matrix.T + offset, -1, 0)
        linear = ndimage.map_coordinates(image[i], where, order=1, mode="grid-constant", cval=0.5)
        np.testing.assert_allclose(out["image"][i], linear, atol=1e-4)
        nearest = ndimage.map_coordinates(
            labels[i], where, order=0, mode="grid-constant", cval=9, prefilter=False
        )
        assert np.mean(np.asarray(out["label"][i]) != nearest) < 2e-3
        # The image shows at the moved points what it showed at the points.
        moved = np.asarray(out["points"][i], float)
        back = [ndimage.map_coordinates(w, moved.T, order=1, mode="nearest") for w in where]
        inside = ((moved >= 0) & (moved <= np.asarray(shape) - 1)).all(1)
        assert inside.sum() >= 2
        np.testing.assert_allclose(np.stack(back, -1)[inside], points[i][inside], atol=0.12)


def test_a_bright_voxel_lands_where_its_point_and_within_its_box_says():
    shape, voxel = (12, 14, 16), np.asarray([5, 8, 6])
    image = np.zeros((4, *shape), np.float32)
    image[:, *voxel] = 1
    # A smooth spot, whose centre of mass linear interpolation keeps.
    image = ndimage.gaussian_filter(image, 1.2, axes=(1, 2, 3))
    points = np.tile(voxel.astype(np.float32), (4, 1, 1))
    boxes = np.concatenate([points - 2, points + 2], -1)
    entries = {"image": Image(), "points": Points(), "boxes": Boxes()}
    transform = augment.deform(
        rotation=(10, 20, 30), translation=1, mirror=(-1, -3), size=(11, 13, 18), entries=entries
    )
    out = jax.jit(transform)(KEY, batched(image=image, points=points, boxes=boxes))
    assert out["image"].shape == (4, 11, 13, 18)
    for x, point, box in zip(out["image"], out["points"][:, 0], out["boxes"][:, 0], strict=True):
        np.testing.assert_allclose(ndimage.center_of_mass(np.asarray(x)), point, atol=0.05)
        lower, upper = np.asarray(box).reshape(2, 3)
        # The box's sphere stays a sphere: the enclosing box holds it.
        assert (lower <= point - 2 + 1e-4).all()
        assert (upper >= point + 2 - 1e-4).all()
        np.testing.assert_allclose((lower + upper) / 2, point, atol=1e-4)


def test_turns_are_of_the_anatomy_where_voxels_are_longer():
    # Voxels of 3 x 1 mm: a right angle needs them to count; spacings per sample.
    points = np.asarray([[[4.0, 10.0], [6.0, 10.0], [5.0, 13.0]]] * 6, np.float32)
    spacing = np.asarray([[3.0, 1.0]] * 6, np.float32)
    batch = batched(image=np.zeros((6, 11, 21), np.float32), points=points, spacing=spacing)
    entries = {"image": Image(), "points": Points()}
    transform = augment.deform(rotation=90, translation=6, spacing="spacing", entries=entries)
    moved = np.asarray(jax.jit(transform)(KEY, batch)["points"]) * spacing[:, None]
    a, b, c = moved[:, 0], moved[:, 1], moved[:, 2]
    np.testing.assert_allclose(np.linalg.norm(b - a, axis=-1), 6, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(c - (a + b) / 2, axis=-1), 3, rtol=1e-5)
    assert np.abs(moved - points * spacing[:, None]).max() > 3


def test_the_inverse_brings_an_affine_map_back():
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.random((2, 24, 24)), 2.0, axes=(1, 2))
    points = rng.random((2, 3, 2), np.float32) * 20
    batch = batched(image=smooth.astype(np.float32), points=points)
    entries = {"image": Image(outside=0.5), "points": Points()}
    transform = augment.deform(rotation=10, zoom=0.1, shear=0.1, mirror=(-2,), entries=entries)

    @jax.jit
    def there_and_back(batch):
        return augment.inverse(transform)(KEY, transform(KEY, batch))

    back = there_and_back(batch)
    np.testing.assert_allclose(back["points"], points, atol=1e-4)
    inner = (slice(None), slice(6, -6), slice(6, -6))
    assert np.abs(back["image"][inner] - smooth[inner]).max() < 0.1 * np.ptp(smooth[inner])


def test_what_cannot_be_is_refused():
    image = batched(image=np.zeros((1, 4, 4), np.float32))
    with pytest.raises(InputError, match=r"elastic: expected 0 to 0\.4"):
        augment.deform(elastic=0.5)
    with pytest.raises(InputError, match="rotation: expected one angle or 1 for 2D"):
        augment.deform(rotation=(1, 2, 3))(KEY, image)
    with pytest.raises(InputError, match="spacing: expected 2 numbers"):
        augment.deform(spacing=(1, 1, 1))(KEY, image)
    with pytest.raises(InputError, match="mirror: expected spatial axes from -2 to -1"):
        augment.deform(mirror=(-3,))(KEY, image)
    with pytest.raises(InputError, match="size: expected 2 sizes"):
        augment.deform(size=(3, 3, 3))(KEY, image)
    with pytest.raises(InputError, match="transform: expected one with an inverse"):
        augment.inverse(augment.deform(elastic=0.2))
    with pytest.raises(InputError, match="label: expected an entry of the batch"):
        augment.deform(entries={"image": Image(), "label": Labels()})(KEY, image)
    with pytest.raises(InputError, match="image: expected 2 or 3 spatial axes"):
        augment.deform(entries={"image": Image(channels="last")})(KEY, image)
    with pytest.raises(InputError, match="image: expected integer labels"):
        augment.deform(entries={"image": Labels()})(KEY, image)
