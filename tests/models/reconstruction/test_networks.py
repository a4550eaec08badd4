"""What each learned reconstruction promises beyond the laws of all models."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.models import (
    WISTA,
    DeepCascade,
    ISTANet,
    KIKINet,
    MoDL,
    Postprocess,
    Sensitivities,
    VarNet,
)
from medjax.models.reconstruction.ista_net import p_shrinkage
from medjax.physics import Cartesian, Coils, Fourier, Sampling, birdcage, calibrate, soft_threshold
from medjax.physics.operator import Identity

# Threefry takes XLA on CPU a second a parameter to compile.
KEY = jax.random.key(0, impl="philox2x32")
MASK = jnp.arange(6) % 3 != 1


class Multiple(nn.Module):
    """A network whose output is a known multiple of its input."""

    factor: float

    def __call__(self, x, train=False):
        return self.factor * x


class Constant(nn.Module):
    """A network that says one, whatever it sees."""

    def __call__(self, x, train=False):
        return jnp.ones_like(x)


def images(*shape, seed=0):
    real, imaginary = np.random.default_rng(seed).standard_normal((2, *shape))
    return jnp.asarray(real + 1j * imaginary, jnp.complex64)


def reconstructed(module, *inputs):
    return module.init_with_output(KEY, *inputs)[0]


def test_noiseless_cascades_keep_the_measured_samples_whatever_the_network_says():
    y = Sampling(MASK)(images(2, 5, 6))
    for operator in (Cartesian(MASK), Sampling(MASK) @ Fourier(2)):
        x = reconstructed(DeepCascade(Multiple(50.0), cascades=2, solver_steps=1), y, operator)
        np.testing.assert_allclose(operator(x), y, atol=1e-4)
    module = KIKINet(Multiple(20.0), Multiple(50.0), iterations=2)
    np.testing.assert_allclose(operator(reconstructed(module, y, operator)), y, atol=1e-4)


def test_a_cascade_that_expects_noise_weighs_the_two():
    y = images(1, 5, 6)
    module = DeepCascade(Multiple(2.0), cascades=1, initial_weight=0.5, residual_scale=1.0)
    np.testing.assert_allclose(reconstructed(module, y, Identity()), (1 + 0.5 * 3) / 1.5 * y, 1e-5)


def test_kiki_fills_in_k_space_first_and_the_image_then():
    y = Sampling(MASK)(images(1, 5, 6))
    module = KIKINet(Constant(), Constant(), iterations=1, residual_scale=0.3)
    k = Fourier(2)(reconstructed(module, y, Cartesian(MASK)))
    constant = jnp.full_like(y, 0.3 * (1 + 1j) * float(jnp.abs(Fourier(2).H(y)).max()))
    np.testing.assert_allclose(k, jnp.where(MASK, y, constant + Fourier(2)(constant)), atol=1e-5)


def test_postprocessing_adds_to_the_initial_image_or_to_its_magnitude():
    operator = Cartesian(MASK)
    y = Sampling(MASK)(images(2, 5, 6))
    expected = 1.5 * operator.H(y)
    added = reconstructed(Postprocess(Multiple(5.0)), y, operator)
    np.testing.assert_allclose(added, expected, rtol=1e-4, atol=1e-6)
    magnitude = reconstructed(Postprocess(Multiple(5.0), magnitude=True), y, operator)
    np.testing.assert_allclose(magnitude, abs(expected), 1e-4, atol=1e-6)


@pytest.mark.parametrize("given", ["cartesian", "composition"])
def test_varnet_with_given_maps_returns_the_image_of_a_full_scan(given):
    maps, x = birdcage(3, (5, 6)), images(2, 5, 6)
    full = jnp.ones(6, bool)
    scan = Cartesian(full, maps) if given == "cartesian" else Fourier(2) @ Coils(maps)
    result = reconstructed(VarNet(Multiple(0.0), cascades=2), scan(x), scan)
    np.testing.assert_allclose(result, x, atol=1e-5)


def test_varnets_own_maps_give_the_root_sum_of_squares_of_a_full_scan():
    u = Coils(birdcage(3, (5, 6)))(images(2, 5, 6))
    module = VarNet(Multiple(0.0), Sensitivities(Multiple(0.0), calibration=(5, 6)), cascades=1)
    result = reconstructed(module, Fourier(2)(u), Cartesian(jnp.ones(6, bool)))
    np.testing.assert_allclose(result, jnp.linalg.norm(u, axis=1), atol=1e-5)


def test_varnets_step_is_that_of_the_paper():
    maps, y = birdcage(3, (5, 6)), Sampling(MASK)(images(2, 3, 5, 6))
    module = VarNet(Multiple(-0.4), cascades=1, residual_scale=1.0)
    result = reconstructed(module, y, Cartesian(MASK, maps))
    # From k = y the soft data consistency is nothing yet: k + F S R(S^H F^H k).
    combined = Coils(maps).adjoint(Fourier(2).H(y))
    np.testing.assert_allclose(result, 0.6 * combined, atol=1e-5)


def test_untrained_maps_are_the_images_of_the_calibration_region():
    kspace = images(2, 3, 8, 6)
    maps = reconstructed(Sensitivities(Multiple(0.0), calibration=(1, 1)), kspace)
    # From a single sample of each coil nothing is left but its phase and share.
    np.testing.assert_allclose(maps, calibrate(kspace, 1), atol=1e-5)


def test_shrinkage_is_soft_at_one_and_takes_less_below():
    x = images(4, 5)
    threshold = jnp.full((1, 1), 0.8)
    np.testing.assert_allclose(
        p_shrinkage(x, threshold, 1.0), soft_threshold(x, threshold), atol=1e-6
    )
    shrunk = [abs(p_shrinkage(x, threshold, p)) for p in (1.0, 0.5, 0.0)]
    above = abs(x) > 0.8
    for one, other in zip(shrunk, (*shrunk[1:], abs(x)), strict=True):
        assert (one[above] < other[above]).all()
        assert (one[~above] == 0).all()

    def energy(threshold, p):
        return jnp.sum(abs(p_shrinkage(jnp.zeros_like(x), threshold, p)) ** 2)

    assert all(np.isfinite(g).all() for g in jax.grad(energy, (0, 1))(threshold, 0.5))


def test_ista_net_reports_how_far_its_transforms_are_from_inverses():
    y = Sampling(MASK)(images(2, 5, 6))
    module = ISTANet(2, 3)
    variables = module.init(KEY, y, Cartesian(MASK))
    assert set(variables) == {"params"}
    apply = jax.jit(lambda v: module.apply(v, y, Cartesian(MASK), mutable="intermediates"))
    (symmetry,) = apply(variables)[1]["intermediates"]["symmetry"]
    assert symmetry.shape == (2,)
    assert (symmetry > 0).all()
    # Without a lift both sides are zero.
    for stage in range(2):
        variables["params"][f"lift{stage}"]["kernel"] *= 0
    assert not apply(variables)[1]["intermediates"]["symmetry"][0].any()


def test_what_cannot_be_reconstructed_is_refused():
    y = images(1, 2, 5, 6)
    scan = Cartesian(MASK)
    with pytest.raises(InputError, match="sensitivities: expected a network, or an operator with"):
        VarNet(Multiple(0.0)).init(KEY, y, scan)
    with pytest.raises(InputError, match=r"operator: expected coil images"):
        VarNet(Multiple(0.0)).init(KEY, y[:, 0], scan)
    with pytest.raises(InputError, match="VarNet: expected a complex array"):
        VarNet(Multiple(0.0)).init(KEY, jnp.real(y), scan)
    with pytest.raises(InputError, match="initial_power: expected a number between 0 and 1"):
        WISTA(1, levels=1, initial_power=1.0).init(KEY, y[:, 0], scan)
    with pytest.raises(InputError, match="initial_weight: expected a positive number"):
        MoDL(Multiple(0.0), initial_weight=-1.0).init(KEY, y[:, 0], scan)
