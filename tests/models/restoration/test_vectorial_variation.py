import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.models.restoration import VectorialVariationFilter
from medjax.models.restoration.vectorial_variation import smoothest
from medjax.physics.solve import total_variation_prox


def test_with_full_trust_it_is_the_proximal_map():
    image = jnp.asarray(np.random.default_rng(0).random((2, 3, 6, 7)), jnp.float32)
    got = smoothest(image, jnp.ones_like(image), jnp.asarray(0.1), 300)
    expected = total_variation_prox(image, 0.1, coupled=True, steps=300)
    np.testing.assert_allclose(got, expected, atol=2e-3)


def test_what_is_not_trusted_is_filled_in_from_around():
    clean = jnp.broadcast_to(jnp.where(jnp.arange(8) < 4, 0.0, 1.0)[None], (8, 8))
    spoiled = clean.at[4, 1].set(9.0).at[2, 6].set(-9.0)
    trust = jnp.where(clean == spoiled, 1.0, 0.0)
    got = smoothest(spoiled[None, None], trust[None, None], jnp.asarray(0.01), 300)
    np.testing.assert_allclose(got[0, 0], clean, atol=0.03)


class Constant(nn.Module):
    shape: tuple[int, ...]

    @nn.compact
    def __call__(self, x, train=False):
        return jnp.zeros(self.shape)


@pytest.mark.parametrize(
    ("shape", "weight", "message"),
    [((1, 4, 5, 2), 0.1, "noise_map"), ((1, 4, 5, 1), 0.0, "initial_weight")],
)
def test_maps_of_another_shape_and_weights_of_zero_are_refused(shape, weight, message):
    module = VectorialVariationFilter(Constant(shape), 2, weight)
    with pytest.raises(InputError, match=message):
        jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 4, 5, 1)))
