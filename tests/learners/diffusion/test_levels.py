import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.learners.diffusion import (
    Levels,
    coefficients,
    cosine,
    exploding,
    few,
    karras,
    linear,
    select,
)
from medjax.learners.diffusion.prediction import denoiser

PRESERVING = {"linear": linear, "cosine": cosine}


@pytest.mark.parametrize("name", PRESERVING)
def test_a_thousand_levels_preserve_the_variance_and_end_in_noise(name):
    levels = PRESERVING[name]()
    assert len(levels) == 1000
    np.testing.assert_allclose(levels.alpha**2 + levels.sigma**2, np.ones(1000), rtol=1e-5)
    assert (np.diff(levels.sigma) >= 0).all()
    assert (np.diff(levels.alpha) < 0).all()
    assert levels.alpha[-1] < 0.01
    np.testing.assert_array_equal(levels.time, np.arange(1000))


def test_linear_levels_are_those_of_the_paper():
    variances = np.linspace(1e-4, 0.02, 1000)
    levels = linear()
    for i in (0, 1, 500, 999):
        share = np.prod(1 - variances[: i + 1])
        np.testing.assert_allclose(levels.alpha[i], share**0.5, rtol=1e-5)
        np.testing.assert_allclose(levels.sigma[i], (1 - share) ** 0.5, rtol=1e-5)
    # Fewer end in as much noise.
    np.testing.assert_allclose(linear(100).alpha[-1], levels.alpha[-1], atol=2e-3)


def test_cosine_levels_are_half_noise_in_the_middle():
    levels = cosine()
    expected = np.cos((0.5 + 0.008) / 1.008 * np.pi / 2) / np.cos(0.008 / 1.008 * np.pi / 2)
    np.testing.assert_allclose(levels.alpha[499], expected, rtol=1e-4)


def test_levels_of_edm():
    levels = karras(18)
    np.testing.assert_allclose(levels.sigma[jnp.array([0, -1])], [0.002, 80], rtol=1e-5)
    roots = np.asarray(levels.sigma, np.float64) ** (1 / 7)
    np.testing.assert_allclose(np.diff(roots), np.diff(roots)[0], rtol=1e-3)
    np.testing.assert_allclose(levels.time, np.log(levels.sigma) / 4, rtol=1e-5)
    np.testing.assert_array_equal(levels.alpha, np.ones(18))


def test_the_ten_levels_of_fast_ddpm():
    assert few() == (99, 199, 299, 399, 499, 599, 699, 799, 899, 999)
    assert few(spacing="non_uniform") == (0, 199, 399, 599, 699, 799, 849, 899, 949, 999)
    # The rule for other numbers: four tenths of them in the first seven tenths.
    other = few(20, spacing="non_uniform")
    assert len(other) == 20
    assert other[-1] == 999
    assert sum(place < 699 for place in other) == 8
    chosen = select(linear(), few())
    np.testing.assert_array_equal(chosen.time, few())


@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v", "edm"])
@pytest.mark.parametrize("levels", [cosine(7)[:-1], karras(6, 0.01, 10.0)], ids=["vp", "ve"])
def test_a_perfect_prediction_gives_the_image_back(prediction, levels):
    rng = np.random.default_rng(0)
    image, noise = (jnp.asarray(rng.standard_normal((1, 5)), jnp.float32) for _ in range(2))
    for i in range(len(levels)):
        level = levels[i]
        c = coefficients(prediction, level)
        target = c.image * image + c.noise * noise
        denoise = denoiser(lambda x, time, target=target: target, prediction)
        got = denoise(level.alpha * image + level.sigma * noise, level)
        tolerance = 1e-5 * max(1, float(level.sigma / level.alpha))
        np.testing.assert_allclose(got, image, atol=tolerance)


def test_preconditioning_keeps_variances_at_one():
    levels, data = karras(9), 0.3
    c = coefficients("edm", levels, data)
    ones = np.ones(9)
    np.testing.assert_allclose(c.scale**2 * (data**2 + levels.sigma**2), ones, rtol=1e-5)
    np.testing.assert_allclose((c.image * data) ** 2 + c.noise**2, ones, rtol=1e-5)
    # Karras et al. 2022, table 1.
    np.testing.assert_allclose(c.skip, data**2 / (levels.sigma**2 + data**2), rtol=1e-5)
    np.testing.assert_allclose(
        c.out, levels.sigma * data / np.sqrt(levels.sigma**2 + data**2), rtol=1e-5
    )


def test_clipping_keeps_images_in_their_range():
    denoise = denoiser(lambda x, time: x, "x0", clip=(-1, 1))
    level = exploding(jnp.asarray(1.0))
    np.testing.assert_array_equal(denoise(jnp.asarray([[-3.0, 0.5, 2.0]]), level), [[-1, 0.5, 1]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: linear(0), "steps: expected a number of at least 1, got 0"),
        (lambda: linear(10), "linear: expected variances between 0 and 1"),
        (lambda: karras(smallest=90.0), "smallest: expected a number between 0 and largest"),
        (lambda: few(spacing="odd"), "spacing: expected uniform or non_uniform"),
        (lambda: few(11, 10), "steps: expected 1 to 10"),
        (lambda: select(linear(), (5, 3)), "places: expected growing numbers from 0 to 999"),
        (lambda: select(linear(), (5, 1000)), "places: expected growing numbers"),
        (lambda: coefficients("noise", linear()), "prediction: expected one of epsilon, x0, v"),
    ],
)
def test_what_makes_no_levels_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_level_of_a_schedule_is_a_schedule():
    assert isinstance(linear(50)[3], Levels)
    assert linear(50)[3].sigma.shape == ()
