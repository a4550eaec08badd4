"""Intensity transforms: what each says it does to the values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from medjax import augment
from medjax.augment import Image
from medjax.core.errors import InputError

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
COUNT = 6


def run(transform, x):
    batch = {"image": jnp.asarray(x), "index": jnp.arange(len(x))}
    return np.asarray(jax.jit(transform)(KEY, batch)["image"])


@pytest.fixture(scope="module")
def images():
    return RNG.standard_normal((COUNT, 12, 10)).astype(np.float32)


@pytest.mark.parametrize("inverted", [False, True])
def test_gamma_is_a_power_within_the_range(images, inverted):
    out = run(augment.gamma(0.4, inverted=inverted), images)
    powers = []
    for x, y in zip(images, out, strict=True):
        np.testing.assert_allclose([y.min(), y.max()], [x.min(), x.max()], rtol=1e-4)
        share, changed = ((v - x.min()) / np.ptp(x) for v in (x, y))
        if inverted:
            share, changed = 1 - share, 1 - changed
        middle = (share > 0.2) & (share < 0.8)
        power = np.log(changed[middle]) / np.log(share[middle])
        np.testing.assert_allclose(power, power[0], rtol=1e-3)
        powers.append(power[0])
    assert np.exp(-0.4) < min(powers) < 0.95 < 1.05 < max(powers) < np.exp(0.4)


def test_gamma_keeps_phase_zeros_and_constants():
    x = np.asarray([[[0.0, 0.5 * np.exp(1j), 1.0j]]], np.complex64)
    out = run(augment.gamma(0.4), x)
    assert out[0, 0, 0] == 0
    assert 0.5**1.5 < abs(out[0, 0, 1]) < 0.5 ** (1 / 1.5)
    np.testing.assert_allclose(np.angle(out[0, 0, 1:]), [1.0, np.pi / 2], rtol=1e-5)
    np.testing.assert_array_equal(run(augment.gamma(0.4), np.full((1, 2, 2), 3, np.float32)), 3)

    def total(x):
        return jnp.sum(augment.gamma(0.4)(KEY, {"image": x, "index": jnp.arange(1)})["image"])

    assert np.isfinite(jax.jit(jax.grad(total))(jnp.zeros((1, 2, 2)))).all()


def test_brightness_and_contrast_are_lines(images):
    bright = run(augment.brightness(0.3, spread=0.2), images)
    strong = run(augment.contrast(0.5), images)
    for x, y, z in zip(images, bright, strong, strict=True):
        slope, shift = np.polyfit(x.ravel(), y.ravel(), 1)
        np.testing.assert_allclose(y, slope * x + shift, atol=1e-5)
        assert abs(np.log(slope)) < 0.2
        assert 0 < abs(shift) < 0.3
        assert x.min() <= z.min() < z.max() <= x.max()
        middle = np.abs(x - x.mean()) < 0.5 * min(x.mean() - x.min(), x.max() - x.mean())
        slope, shift = np.polyfit(x[middle], z[middle], 1)
        np.testing.assert_allclose(slope * x.mean() + shift, x.mean(), atol=1e-4)
        assert abs(np.log(slope)) < 0.5
    for transform in (augment.contrast(0.1), augment.brightness(0.1)):
        with pytest.raises(InputError, match="image: expected a real one"):
            run(transform, images + 0j)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_noise_is_normal_and_of_drawn_size(dtype):
    noise = run(augment.noise(0.2), np.zeros((COUNT, 60, 50), dtype))
    parts = noise.view(np.float32).reshape(COUNT, -1)
    sizes = parts.std(1)
    assert (sizes < 0.2).all()
    assert np.ptp(sizes) > 0.05
    unit = parts / sizes[:, None]
    assert np.abs(unit.mean(1)).max() < 0.06
    np.testing.assert_allclose((unit**4).mean(1), 3, atol=0.4)
    assert np.abs(np.corrcoef(unit) - np.eye(COUNT)).max() < 0.06


def test_blur_and_sharpen_are_gaussians(images):
    wide = (0.7, 0.7 + 1e-6)
    blurred = run(augment.blur(wide), images)
    expected = ndimage.gaussian_filter(images, 0.7, radius=3, mode="nearest", axes=(1, 2))
    np.testing.assert_allclose(blurred, expected, atol=1e-5)
    sharp = run(augment.sharpen(0.8, sigma=wide), images)
    share = (sharp - images) / (images - expected)
    for s, x, b in zip(share, images, expected, strict=True):
        clear = np.abs(x - b) > 0.1
        np.testing.assert_allclose(s[clear], np.median(s[clear]), rtol=1e-3)
        assert 0 < np.median(s[clear]) < 0.8
    with pytest.raises(InputError, match="sigma: expected least and largest"):
        augment.blur((0.0, 1.0))


def test_bias_field_is_the_exponential_of_a_polynomial():
    logs = np.log(
        run(augment.bias_field(0.3, order=2), np.ones((COUNT, 9, 8, 7, 1), np.float32)[..., 0])
    )
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in (9, 8, 7)), indexing="ij")
    powers = [p for p in np.ndindex(3, 3, 3) if sum(p) <= 2]
    terms = np.stack([np.prod([a**k for a, k in zip(axes, p, strict=True)], 0) for p in powers], -1)
    terms = terms.reshape(-1, len(powers))
    for field in logs.reshape(COUNT, -1):
        weights, *_ = np.linalg.lstsq(terms, field, rcond=None)
        np.testing.assert_allclose(terms @ weights, field, atol=1e-5)
        assert np.abs(weights).max() < 0.3
        assert (np.abs(weights) > 1e-3).mean() > 0.8
    with pytest.raises(InputError, match="order: expected at least 1"):
        augment.bias_field(0.3, order=0)


def test_low_resolution_averages_one_axis_or_all(images):
    along = run(augment.low_resolution(4.0, coarse=(-1,)), images)
    everywhere = run(augment.low_resolution(4.0), images)
    rough = [np.abs(np.diff(v, axis=2)).mean() for v in (images, along, everywhere)]
    steep = [np.abs(np.diff(v, axis=1)).mean() for v in (images, along, everywhere)]
    assert rough[0] > 1.2 * rough[1] > 1.2 * rough[2]
    assert steep[0] > 1.2 * steep[2]
    flat = run(augment.low_resolution(4.0), np.full((1, 7, 9), 2.0, np.float32))
    np.testing.assert_allclose(flat, 2, rtol=1e-6)
    with pytest.raises(InputError, match="factor: expected at least 1"):
        augment.low_resolution(0.5)


def test_channels_draw_together_or_apart():
    x = np.repeat(RNG.random((2, 6, 5, 1), np.float32), 3, axis=-1)

    def equal(independent, layout):
        entries = {"image": Image(channels=layout, independent=independent)}
        v = x if layout == "last" else np.moveaxis(x, -1, 1)
        transform = augment.gamma(0.4, entries=entries)
        out = run(transform, v)
        assert out.shape == v.shape
        out = out if layout == "last" else np.moveaxis(out, 1, -1)
        return np.abs(out - out[..., :1]).max() < 1e-6, out

    together, first = equal(False, "last")
    assert together
    np.testing.assert_allclose(first, equal(False, "first")[1], atol=1e-6)
    apart, second = equal(True, "last")
    assert not apart
    np.testing.assert_allclose(second, equal(True, "first")[1], atol=1e-6)
