import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.layers.attend import CBAM, NonLocal, SpatialAttention, block_attention, stage_attention
from medjax.layers.squeeze import ChannelAttention, SqueezeExcitation

# Threefry takes XLA on CPU a second a parameter to compile.
KEY = jax.random.key(0, impl="philox2x32")


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def with_values(module, x):
    shapes = jax.eval_shape(module.init, KEY, x)
    return jax.tree.map(lambda s: normal(s.size, *s.shape), shapes)


def applied(module, variables, x):
    return module.apply(jax.tree.map(jnp.asarray, variables), x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("spatial", [(4, 5), (3, 4, 5)])
def test_squeeze_and_excitation_is_its_equation(spatial):
    x, module = jnp.asarray(normal(0, 2, *spatial, 6)), SqueezeExcitation(3)
    variables = with_values(module, x)
    reduce, expand = (variables["params"][name] for name in ("reduce", "expand"))
    z = np.asarray(x).reshape(2, -1, 6).mean(1)
    z = np.maximum(z @ reduce["kernel"] + reduce["bias"], 0)
    weights = sigmoid(z @ expand["kernel"] + expand["bias"])
    expected = np.asarray(x) * weights.reshape(2, *(1,) * len(spatial), 6)
    np.testing.assert_allclose(applied(module, variables, x), expected, rtol=1e-5, atol=1e-6)


def test_channel_attention_adds_what_the_mean_and_the_maximum_say():
    x, module = jnp.asarray(normal(0, 2, 4, 5, 6)), ChannelAttention(3)
    variables = with_values(module, x)
    reduce, expand = (variables["params"][name]["kernel"] for name in ("reduce", "expand"))
    flat = np.asarray(x).reshape(2, -1, 6)
    logits = sum(np.maximum(z @ reduce, 0) @ expand for z in (flat.mean(1), flat.max(1)))
    expected = np.asarray(x) * sigmoid(logits)[:, None, None]
    np.testing.assert_allclose(applied(module, variables, x), expected, rtol=1e-5, atol=1e-6)


def test_spatial_attention_weights_places_by_mean_and_maximum_of_their_channels():
    x, module = jnp.asarray(normal(0, 2, 4, 5, 6)), SpatialAttention(1)
    variables = with_values(module, x)
    conv = variables["params"]["conv"]
    both = np.stack([np.asarray(x).mean(-1), np.asarray(x).max(-1)], axis=-1)
    weights = sigmoid(both @ conv["kernel"][0, 0] + conv["bias"])
    np.testing.assert_allclose(
        applied(module, variables, x), np.asarray(x) * weights, rtol=1e-5, atol=1e-6
    )


def test_a_non_local_block_adds_to_each_place_what_all_others_say():
    x, module = jnp.asarray(normal(0, 2, 3, 4, 6)), NonLocal()
    variables = with_values(module, x)
    tokens = np.asarray(x).reshape(2, 12, 6)

    def embedded(name, y):
        layer = variables["params"][name]
        return y @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])

    query, key, value = (embedded(name, tokens) for name in ("query", "key", "value"))
    logits = query @ key.swapaxes(1, 2) / 3**0.5
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    expected = tokens + embedded("out", weights @ value)
    got = applied(module, variables, x)
    np.testing.assert_allclose(got, expected.reshape(x.shape), rtol=1e-4, atol=1e-5)


def test_kinds_stand_in_blocks_or_after_stages_and_others_are_refused():
    kinds = {"se": SqueezeExcitation, "spatial": SpatialAttention, "cbam": CBAM}
    for kind, cls in kinds.items():
        assert isinstance(block_attention(kind, 256, jnp.float32), cls)
        assert stage_attention(kind, jnp.float32, "attention") is None
    assert block_attention("nonlocal", 256, jnp.float32) is None
    assert isinstance(stage_attention("nonlocal", jnp.float32, "attention"), NonLocal)
    assert block_attention("se", 256, jnp.float32).hidden == 16
    refuse = getattr(block_attention, "__wrapped__", block_attention)
    with pytest.raises(InputError, match="attention: expected one of none, se, spatial, cbam"):
        refuse("both", 4, jnp.float32)


@pytest.mark.parametrize("module", [SqueezeExcitation(4), CBAM(4), NonLocal()])
def test_bfloat16_stays_bfloat16(module):
    x = jax.ShapeDtypeStruct((1, 8, 8, 4), jnp.bfloat16)
    y, variables = jax.eval_shape(module.clone(dtype=jnp.bfloat16).init_with_output, KEY, x)
    assert y.dtype == jnp.bfloat16
    assert {leaf.dtype.name for leaf in jax.tree.leaves(variables)} == {"float32"}
