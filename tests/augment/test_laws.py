"""What every augmentation keeps to: keyed by sample, all kinds of entries, any devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from medjax import augment
from medjax.augment import Boxes, Classes, Image, Labels, Points

ENTRIES = {
    "image": Image(channels="last"),
    "coils": Image(channels="first"),
    "label": Labels(),
    "smooth": Labels(smooth=True),
    "soft": Labels(channels="last"),
    "points": Points(),
    "boxes": Boxes(),
    "class": Classes(),
}
FEW = {k: ENTRIES[k] for k in ("image", "label")}

TRANSFORMS = {
    "deform": lambda: augment.deform(
        rotation=20,
        zoom=0.1,
        scale=0.1,
        shear=0.1,
        translation=2,
        mirror=(-1, -2),
        elastic=0.3,
        intervals=2,
        entries=ENTRIES,
    ),
    "flip": lambda: augment.flip(-2, entries=ENTRIES),
    "rotate90": lambda: augment.rotate90(entries=ENTRIES),
    "random_crop": lambda: augment.random_crop((5, 4), entries=ENTRIES),
    "center": lambda: augment.center((9, 5), entries=ENTRIES),
    "intensity": lambda: augment.chain(
        augment.gamma(0.4, entries=FEW),
        augment.brightness(0.2, spread=0.2, entries=FEW),
        augment.contrast(0.4, entries=FEW),
        augment.noise(0.1, entries=FEW),
        augment.sharpen(0.5, sigma=(0.5, 0.7), entries=FEW),
        augment.bias_field(0.3, entries=FEW),
        augment.low_resolution(3.0, entries=FEW),
        augment.cutout((0.2, 0.5), entries=FEW),
    ),
    "sometimes": lambda: augment.sometimes(0.5, augment.flip(-1, entries=ENTRIES)),
}
SHAPE = (6, 6)


@pytest.fixture(scope="module")
def batch():
    rng, n = np.random.default_rng(0), 8
    soft = rng.random((n, *SHAPE, 3), np.float32)
    corners = np.sort(rng.random((n, 2, 2, 2), np.float32) * 6, axis=2)
    coils = rng.standard_normal((n, 2, *SHAPE, 2), np.float32).view(np.complex64)[..., 0]
    arrays = {
        "image": rng.random((n, *SHAPE, 2), np.float32),
        "coils": coils,
        "label": rng.integers(0, 4, (n, *SHAPE), np.int32),
        "smooth": rng.integers(0, 4, (n, *SHAPE), np.uint8),
        "soft": soft / soft.sum(-1, keepdims=True),
        "points": rng.random((n, 5, 2), np.float32) * 6,
        "boxes": corners.reshape(n, 2, 4),
        "class": np.eye(4, dtype=np.float32)[rng.integers(0, 4, n)],
        "index": np.arange(n, dtype=np.int32),
    }
    return jax.tree.map(jnp.asarray, arrays)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_samples_randomness_is_its_own(name, batch):
    transform, key = jax.jit(TRANSFORMS[name]()), jax.random.key(3)
    whole = transform(key, batch)
    assert {k: v.dtype for k, v in whole.items()} == {k: v.dtype for k, v in batch.items()}
    for entry, x in whole.items():
        assert np.isfinite(x).all(), entry
        if name == "intensity" and entry != "image":
            np.testing.assert_array_equal(x, batch[entry])
    image = whole["image"]
    if name != "center":
        assert image.shape != batch["image"].shape or not np.array_equal(image, batch["image"])
        assert not np.array_equal(image, transform(jax.random.key(4), batch)["image"])
    # The same bits in other company; one index twice is one sample twice.
    order = jnp.asarray([4, 1, 6, 2, 2, 0, 7, 3])
    part = transform(key, {k: v[order] for k, v in batch.items()})
    for entry, x in whole.items():
        np.testing.assert_array_equal(x[order], part[entry], err_msg=entry)


def test_a_batch_of_another_size_differs_by_rounding_at_most(batch):
    # XLA may vectorise loops of another length otherwise.
    steps = (augment.deform(rotation=20, entries=FEW), augment.gamma(0.4, entries=FEW))
    transform, key = jax.jit(augment.chain(*steps)), jax.random.key(3)
    few = {k: batch[k] for k in (*FEW, "index")}
    whole, part = transform(key, few), transform(key, {k: v[5:6] for k, v in few.items()})
    np.testing.assert_allclose(part["image"][0], whole["image"][5], atol=1e-6)
    np.testing.assert_array_equal(part["label"][0], whole["label"][5])


def test_devices_change_nothing_and_gather_nothing(batch):
    entries = {k: ENTRIES[k] for k in ("image", "label", "boxes")}
    few = {k: batch[k] for k in (*entries, "index")}
    steps = (
        augment.deform(rotation=20, mirror=(-1,), entries=entries),
        augment.sometimes(0.5, augment.gamma(0.4, entries=FEW)),
        augment.cutmix(entries=FEW),
    )
    transform, key = augment.chain(*steps), jax.random.key(3)
    mesh = Mesh(np.asarray(jax.devices()), ("data",))
    shards = jax.device_put(few, NamedSharding(mesh, PartitionSpec("data")))
    compiled = jax.jit(transform).lower(key, shards).compile()
    assert "all-gather" not in compiled.as_text()
    assert "all-to-all" not in compiled.as_text()
    alone = jax.jit(transform)(key, few)
    for entry, x in compiled(key, shards).items():
        np.testing.assert_allclose(x, alone[entry], atol=5e-6, err_msg=entry)
