"""Artefacts as augmentation: each of the table, keyed by sample, in two and three dimensions."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax import physics
from medjax.augment import Image
from medjax.augment.artefacts import SINOGRAM, artefact
from medjax.core.errors import InputError


def batch(shape, seed=0, dtype=np.float32):
    images = np.random.default_rng(seed).random((3, *shape)).astype(dtype)
    return {"image": jnp.asarray(images), "index": jnp.asarray([7, 2, 9], jnp.int32)}


@pytest.mark.parametrize("name", sorted(set(physics.ARTEFACTS) - set(SINOGRAM)))
def test_every_artefact_of_images_is_an_augmentation(name):
    for shape in ((8, 12), (8, 8, 12)):
        full = batch(shape)
        out = jax.eval_shape(artefact(name), jax.random.key(0), full)
        assert out == jax.eval_shape(lambda b: b, full)


@pytest.mark.parametrize(("name", "options"), [("low_snr", {}), ("bulk_motion", {"shots": 2})])
def test_a_samples_artefact_is_its_own(name, options):
    transform = jax.jit(artefact(name, (0.5, 1.0), **options))
    key, full = jax.random.key(0), batch((8, 12))
    whole = transform(key, full)["image"]
    part = transform(key, jax.tree.map(lambda x: x[jnp.asarray([2, 0, 0])], full))["image"]
    np.testing.assert_allclose(part, whole[jnp.asarray([2, 0, 0])], atol=1e-5)
    assert float(jnp.max(jnp.abs(whole - full["image"]))) > 1e-3
    # Of one image, samples of other indices have other artefacts.
    same = {**full, "image": jnp.broadcast_to(full["image"][:1], full["image"].shape)}
    first, second, _ = transform(key, same)["image"]
    assert not np.allclose(first, second, atol=1e-4)


def test_volumes_and_coils():
    volumes = batch((4, 6, 8))
    out = jax.jit(artefact("ghosting", (1.0, 1.0)))(jax.random.key(0), volumes)["image"]
    assert out.shape == volumes["image"].shape
    coils = batch((2, 6, 8), dtype=np.complex64)
    coils["image"] = coils["image"].at[:, 1].set(coils["image"][:, 0])
    for independent in (False, True):
        entries = {"image": Image(channels="first", independent=independent)}
        transform = jax.jit(artefact("ghosting", (1.0, 1.0), entries=entries))
        out = transform(jax.random.key(0), coils)["image"]
        assert np.allclose(out[:, 0], out[:, 1], atol=1e-5) is not independent


def test_severity_is_drawn_from_its_range():
    def difference(key, image, severity):
        return image + severity

    many = {"image": jnp.zeros((400, 2, 2)), "index": jnp.arange(400)}
    drawn = artefact(difference, (0.2, 0.6))(jax.random.key(0), many)["image"][:, 0, 0]
    assert 0.2 <= drawn.min() < 0.21
    assert 0.59 < drawn.max() <= 0.6
    none = jax.jit(artefact("ghosting", (0.0, 0.0)))(jax.random.key(0), batch((6, 8)))["image"]
    np.testing.assert_allclose(none, batch((6, 8))["image"], atol=1e-6)


def test_a_scanners_rings_come_through_its_sinogram():
    angles = jnp.linspace(0, np.pi, 24, endpoint=False)
    scan = physics.ct.ParallelBeam(angles, shape=(16, 16), bins=24)
    rings = physics.artefacts.through_sinogram(partial(physics.artefacts.ring, gain=0.1), scan)
    images = batch((16, 16))
    out = jax.jit(artefact(rings, (1.0, 1.0)))(jax.random.key(0), images)["image"]
    assert float(jnp.std(out - images["image"])) > 1e-4


def test_what_cannot_be_used_is_named():
    for what, call in (
        ("artefacts", lambda: artefact("ghost")),
        ("artefact", lambda: artefact("ring")),
        ("severity", lambda: artefact("ghosting", (0.5, 0.2))),
        ("severity", lambda: artefact("ghosting", (0.0, 2.0))),
    ):
        with pytest.raises(InputError) as raised:
            call()
        assert raised.value.what == what
