"""The proximal map of total variation: an outside implementation, and coupled channels."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from medjax.physics.solve import total_variation_prox

REFERENCE = np.load(Path(__file__).parents[2] / "reference" / "denoise.npz")


@pytest.mark.parametrize(
    ("image", "denoised"), [("picture", "variation"), ("volume", "variation3")]
)
def test_it_agrees_with_chambolle_of_scikit_image(image, denoised):
    x = jnp.asarray(REFERENCE[image])
    got = total_variation_prox(x, 0.1, steps=300, ndim=x.ndim)
    np.testing.assert_allclose(got, REFERENCE[denoised], atol=2e-4)


@pytest.mark.parametrize("isotropic", [True, False])
def test_equal_channels_share_one_length_of_gradient(isotropic):
    x = jnp.asarray(REFERENCE["picture"])
    both = total_variation_prox(
        jnp.stack([x, x]), 0.1, coupled=True, isotropic=isotropic, steps=200
    )
    # Of |u - x|^2 + t sqrt(2) TV(u) in place of |u - x|^2 / 2 + t TV(u).
    alone = total_variation_prox(x, 0.1 / np.sqrt(2), isotropic=isotropic, steps=200)
    np.testing.assert_allclose(both, jnp.stack([alone, alone]), atol=2e-4)


def test_an_edge_of_one_channel_keeps_that_of_another():
    step = jnp.where(jnp.arange(8) < 4, 0.0, 1.0)
    strong = jnp.broadcast_to(step[None], (8, 8))
    channels = jnp.stack([strong, 0.1 * strong])
    together = np.asarray(total_variation_prox(channels, 0.2, coupled=True, steps=200))
    apart = np.asarray(total_variation_prox(channels, 0.2, steps=200))
    faint = [x[1, 4, 4] - x[1, 4, 3] for x in (together, apart)]
    assert faint[0] > 0.08
    assert faint[1] < 0.03
