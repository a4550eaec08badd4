from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference.filling import filled, uniform

from medjax.core.errors import InputError
from medjax.core.trees import named_leaves
from medjax.layers.mamba import ImageScan, Mamba, crossed, merged

KEY = jax.random.key(0, impl="philox2x32")


def image(*shape):
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


def test_a_mamba_block_agrees_with_another_library():
    """Hugging Face's, see tests/reference/make_selective_scan.py."""
    stored = np.load(Path(__file__).parents[1] / "reference" / "selective_scan.npz")
    of = lambda name, *shape: jnp.asarray(filled(name, shape))  # noqa: E731
    ssm = {
        "selection": of("x_proj.weight", 11, 12).T[None],
        "step_kernel": of("dt_proj.weight", 12, 3).T[None],
        "step_bias": of("dt_proj.bias", 12)[None],
        "log_decay": of("A_log", 12, 4)[None],
        "skip": of("D", 12)[None],
    }
    params = {
        "in": {"kernel": of("in_proj.weight", 24, 6).T},
        "kernel": of("conv1d.weight", 12, 1, 4)[:, 0].T,
        "bias": of("conv1d.bias", 12),
        "ssm": ssm,
        "out": {"kernel": of("out_proj.weight", 6, 12).T},
    }
    block, x = Mamba(state=4, rank=3, chunk=4), jnp.asarray(uniform("input", (2, 13, 6)))
    shapes = jax.eval_shape(block.init, KEY, x)["params"]
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, shapes)

    def energy(x):
        y = block.apply({"params": params}, x)
        return 0.5 * jnp.sum(y**2), y

    gradient, y = jax.jit(jax.grad(energy, has_aux=True))(x)
    for got, name in ((y, "output"), (gradient, "gradient")):
        np.testing.assert_allclose(got, stored[name], atol=1e-5 * np.abs(stored[name]).max())


def test_an_image_is_read_along_each_axis_and_back():
    x = jnp.arange(6.0).reshape(1, 2, 3, 1)
    read = crossed(x)[:, 0, :, 0].tolist()
    rows, columns = [0, 1, 2, 3, 4, 5], [0, 3, 1, 4, 2, 5]
    assert read == [rows, columns, rows[::-1], columns[::-1]]


@pytest.mark.parametrize("spatial", [(4, 3), (2, 3, 5)])
def test_merging_puts_every_token_back(spatial):
    x = image(2, *spatial, 3)
    scans = 2 * len(spatial)
    np.testing.assert_allclose(merged(crossed(x), spatial), scans * x, rtol=1e-6)


def test_a_token_sees_those_before_it_alone():
    block, x = Mamba(chunk=3, state=2), image(1, 7, 4)
    variables = jax.jit(block.init)(KEY, x)
    seen = jax.jit(jax.jacfwd(lambda x: block.apply(variables, x)[0].sum(-1)))(x)
    reach = np.abs(seen[:, 0]).max(-1)
    assert (reach[np.triu_indices(7, 1)] == 0).all()
    assert (reach[np.tril_indices(7)] > 0).all()


@pytest.mark.parametrize("spatial", [(3, 4), (2, 3, 2)])
def test_scans_reach_everywhere_from_everywhere_and_every_parameter_learns(spatial):
    layer, x = ImageScan(state=2, chunk=4), image(1, *spatial, 4)
    variables = jax.jit(layer.init)(KEY, x)
    assert variables["params"]["ssm"]["skip"].shape == (2 * len(spatial), 8)

    @jax.jit
    def gradients(params, x):
        def centre(params, x):
            y = layer.apply({"params": params}, x)
            return jnp.sum(jnp.sin(y[0, *(n // 2 for n in spatial)]))

        return jax.grad(centre, (0, 1))(params, x)

    of_params, of_image = gradients(variables["params"], x)
    assert (np.abs(of_image).max(-1) > 0).all()
    for path, leaf in named_leaves(of_params):
        assert np.abs(leaf).max() > 0, path


def test_bfloat16_keeps_parameters():
    layer = ImageScan(state=2, dtype=jnp.bfloat16)
    y, variables = jax.eval_shape(layer.init_with_output, KEY, image(1, 4, 4, 8))
    assert (y.shape, y.dtype) == ((1, 4, 4, 8), jnp.bfloat16)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(variables)} == {"float32"}


def test_what_is_no_image_is_refused():
    with pytest.raises(InputError, match="ImageScan"):
        jax.eval_shape(ImageScan().init, KEY, jnp.zeros((2, 5, 3)))
    with pytest.raises(InputError, match="kernel_size: expected an odd number, got 2"):
        jax.eval_shape(ImageScan(kernel_size=2).init, KEY, image(1, 4, 4, 8))
