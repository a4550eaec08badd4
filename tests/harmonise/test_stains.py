"""Stain normalisation against torchstain and SPAMS by stored values, and on a real slide."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.harmonise import macenko, reinhard, vahadane
from medjax.physics.stain_factors import factorise_stains, sparse_concentrations
from medjax.physics.stains import EOSIN, HEMATOXYLIN, optical_density, stain_matrix

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "stain_normalisation.npz")
METHODS = {"reinhard": reinhard, "macenko": macenko, "vahadane": vahadane}


def pixels(name):
    return jnp.asarray(REFERENCE[name] / 255, jnp.float32)


def test_reinhard_agrees_with_torchstain():
    method = reinhard()
    got = jax.jit(method.transform)(method.fit(pixels("target")), pixels("source"))
    # Its bytes are cut, not rounded.
    np.testing.assert_allclose(255 * got - 0.5, REFERENCE["reinhard"], atol=0.6)


def test_macenko_agrees_with_torchstain():
    # Its image is (I + 1) / 240, and its threshold one of natural logarithms.
    source, target = (
        jnp.asarray((REFERENCE[n].astype("f8") + 1) / 240, jnp.float32)
        for n in ("source", "target")
    )
    method = macenko(threshold=0.15 / np.log(10))
    got = jax.jit(method.transform)(method.fit(target), source)
    expected = REFERENCE["macenko"].astype("f8")
    np.testing.assert_allclose(240 * got - 0.5, np.minimum(expected, 239.5), atol=1.1)


def test_two_stain_concentrations_are_the_minimum():
    rng = np.random.default_rng(0)
    density = jnp.asarray(rng.uniform(-0.3, 1, (200, 3)), jnp.float32)
    colours = stain_matrix(HEMATOXYLIN, EOSIN)

    def cost(c):
        residual = np.asarray(density) - c @ np.asarray(colours)
        return (residual**2).sum(-1) / 2 + 0.1 * c.sum(-1)

    best = np.asarray(sparse_concentrations(density, colours, sparsity=0.1))
    assert (best >= 0).all()
    # All four choices of which stain is present occur.
    assert len({tuple(row) for row in best > 0}) == 4
    for _ in range(20):
        other = np.maximum(best + rng.normal(0, 0.05, best.shape), 0)
        assert (cost(best) <= cost(other) + 1e-6).all()


def test_factors_are_at_least_as_good_as_those_of_spams():
    image = jnp.asarray(REFERENCE["stained"] / 255, jnp.float32)[None]
    got = jax.jit(factorise_stains, static_argnames="brightest")(image, brightest=101.0)

    def cost(colours):
        density = optical_density(image) * np.float32(np.log(10))
        c = sparse_concentrations(density, colours, sparsity=0.1)
        residual = density - jnp.einsum("yxs,sc->yxc", c, colours)
        return float(jnp.mean(jnp.sum(residual**2, -1) / 2 + 0.1 * jnp.sum(c, -1)))

    expected = jnp.asarray(REFERENCE["factors"], jnp.float32)
    assert cost(got) <= cost(expected) * (1 + 1e-4)
    np.testing.assert_allclose(got, expected, atol=0.02)


@pytest.mark.parametrize("name", METHODS)
def test_each_image_is_normalised_by_itself(name):
    method = METHODS[name]()
    state = method.fit(pixels("target"))
    assert all(leaf.shape in ((3,), (2, 3), (2,)) for leaf in state)
    transform = jax.jit(method.transform)
    source = pixels("source")
    batch = jnp.stack([source, jnp.ones_like(source), source[::-1]])
    out = transform(state, batch)
    assert ((out >= 0) & (out <= 1)).all()
    np.testing.assert_allclose(out[2][::-1], out[0], atol=1e-3)
    # A tile without tissue stays as it is.
    np.testing.assert_array_equal(out[1], batch[1])
    swapped = transform(state, batch.at[1].set(pixels("target")))
    np.testing.assert_array_equal(swapped[0], out[0])
    # The target is already what it should look like.
    again = transform(state, jnp.stack([pixels("target")] * 3))[0]
    assert float(jnp.mean(jnp.abs(again - pixels("target")))) < 0.02


@pytest.mark.parametrize("name", METHODS)
def test_a_real_slide_takes_the_targets_colours(name):
    package = importlib.util.find_spec("stardist")
    if package is None:
        pytest.skip("stardist carries the slide")
    path = Path(package.origin).parent / "data" / "images" / "histo.jpg"
    image = np.asarray(pytest.importorskip("PIL.Image").open(path))
    image = jnp.asarray(image[:96, :96] / 255, jnp.float32)
    # Another laboratory's: more eosin, less haematoxylin, thinner.
    other = jnp.clip(image ** jnp.asarray([0.6, 0.9, 1.1]).reshape(1, 1, 3), 0, 1)
    method = METHODS[name]()
    got = jax.jit(method.transform)(method.fit(image), other)
    before = np.abs(np.mean(other - image, axis=(0, 1))).max()
    after = np.abs(np.mean(got - image, axis=(0, 1))).max()
    assert after < 0.5 * before
    assert float(jnp.mean(jnp.abs(got - image))) < 0.75 * float(jnp.mean(jnp.abs(other - image)))


def test_what_cannot_be_used_is_named():
    for make in METHODS.values():
        method = make()
        state = method.fit(pixels("target"))
        for call in (
            lambda m=method: m.fit(jnp.ones((2, 4, 4, 3))),
            lambda m=method: m.fit(jnp.ones((4, 4, 3), jnp.uint8)),
            lambda m=method, s=state: m.transform(s, jnp.ones((4, 4, 1))),
        ):
            with pytest.raises(InputError) as raised:
                call()
            assert raised.value.what == "image"
