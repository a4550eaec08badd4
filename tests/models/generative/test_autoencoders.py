"""Laws of the autoencoders, and what each promises of its code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.core.trees import named_leaves
from medjax.models.generative import GMVAE, VAE, VQVAE, Autoencoder, StackedAutoencoder

KEY = jax.random.key(0, impl="philox2x32")
FIELDS = {"out_channels": 2, "latent": 3, "features": (4, 8), "groups": 2}

# name: (module, method of training, its shape of a code of a grid)
CASES = {
    "autoencoder": (Autoencoder(**FIELDS, attention=True), "coded"),
    "stacked": (StackedAutoencoder(2, (4, 3)), "layerwise"),
    "vae": (VAE(**FIELDS), "sampled"),
    "gmvae": (GMVAE(**FIELDS, components=3, hidden=4), "sampled"),
    "vqvae": (VQVAE(**FIELDS, entries=5), "quantised"),
}


def image(*shape):
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


def weights(module, *inputs):
    """Variables of the right shapes; no compiler is needed to draw them."""
    shapes = jax.eval_shape(module.init, KEY, *inputs)
    return jax.tree.map(lambda leaf: 0.3 * image(*leaf.shape), shapes)


@pytest.mark.parametrize("spatial", [(9, 6), (5, 4, 7)])
@pytest.mark.parametrize("name", CASES)
def test_images_of_any_size_come_back_by_a_smaller_code(name, spatial):
    module, _ = CASES[name]
    x = image(2, *spatial, 2)
    output, variables = jax.eval_shape(module.init_with_output, KEY, x)
    assert (output.shape, output.dtype) == (x.shape, jnp.float32)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(variables)} == {"float32"}

    def encode(variables, x):
        return module.apply(variables, x, method="encode")

    code = jax.eval_shape(encode, variables, x)
    step = 4 if name == "stacked" else 2
    assert code.shape == (2, *(-(-n // step) for n in spatial), 3)
    decoded = jax.eval_shape(lambda v, c: module.apply(v, c, method="decode"), variables, code)
    assert decoded.shape == (2, *(step * n for n in code.shape[1:-1]), 2)


@pytest.mark.parametrize("name", CASES)
def test_training_is_finite_and_reaches_every_parameter(name):
    module, method = CASES[name]
    x = image(2, 4, 8, 2)
    variables = weights(module, x)
    rest = {k: v for k, v in variables.items() if k != "params"}

    def energy(params):
        out, _ = module.apply(
            {"params": params, **rest},
            x,
            train=True,
            method=method,
            mutable=list(rest),
            rngs={"dropout": KEY},
        )
        leaves = [a for a in jax.tree.leaves(out) if jnp.issubdtype(a.dtype, jnp.floating)]
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in leaves)

    for path, leaf in named_leaves(jax.jit(jax.grad(energy))(variables["params"])):
        assert np.isfinite(leaf).all(), path
        assert np.abs(leaf).max() > 1e-6, path


def test_a_vector_is_a_code_of_images_of_one_size():
    module = VAE(**FIELDS, vector=(3, 4), classes=2)
    x, label = image(2, 6, 8, 2), jnp.asarray([0, 1])
    variables = jax.eval_shape(module.init, KEY, x, label)

    def apply(method):
        return jax.eval_shape(
            lambda v, x, c: module.apply(v, x, c, method=method), variables, x, label
        )

    assert apply("encode").shape == (2, 3)
    assert apply("__call__").shape == x.shape
    with pytest.raises(InputError, match=r"vector: expected .* such as \(6, 8\), got \(4, 4\)"):
        jax.eval_shape(module.init, KEY, image(2, 8, 8, 2), label)
    with pytest.raises(InputError, match="label: expected a class of 2 a sample, got None"):
        jax.eval_shape(module.init, KEY, x)
    with pytest.raises(InputError, match="label: expected none"):
        jax.eval_shape(VAE(**FIELDS).init, KEY, x, label)


def test_components_are_responsible_for_a_code_in_shares():
    module, _ = CASES["gmvae"]
    x = image(2, 4, 4, 2)
    share = jax.jit(lambda v, x: module.apply(v, x, method="responsibilities"))(
        weights(module, x), x
    )
    assert share.shape == (2, 2, 2, 3)
    np.testing.assert_allclose(share.sum(-1), np.ones((2, 2, 2)), rtol=1e-5)
