"""MAE and SimMIM: what is hidden stays hidden, and MAE computes what its authors' does."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from medjax.core.errors import InputError
from medjax.layers.patch import from_patches, to_patches
from medjax.learners.predictive import mae, simmim
from medjax.learners.predictive.masked import normalised_patches
from medjax.learners.predictive.pretext import masked_mean
from medjax.models.pretraining import MAEDecoder, MaskedAutoencoder, SimMIM
from medjax.models.swin import Swin
from medjax.models.unet import UNet
from medjax.models.vit import ViT
from medjax.models.weights.importer import import_weights
from medjax.models.weights.vit import MAE

KEY = jax.random.key(0, impl="philox2x32")
REFERENCE = Path(__file__).parents[2] / "reference" / "mae.npz"
VIT = ViT(width=12, depth=1, heads=2, patch=4, image_size=8, positions="sinusoidal")


def image(*shape):
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


def dense(weight, name):
    return {"kernel": weight[f"{name}.weight"].T, "bias": weight[f"{name}.bias"]}


def norm(weight, name):
    return {"scale": weight[f"{name}.weight"], "bias": weight[f"{name}.bias"]}


def decoder_params(weight, heads):
    """MAEDecoder's parameters from the tensors of a decoder with one block."""
    width, block = weight["mask_token"].size, "decoder_blocks.0"
    qkv, out = (dense(weight, f"{block}.attn.{name}") for name in ("qkv", "proj"))
    split = (3, heads, width // heads)
    attention = {
        "qkv": {"kernel": qkv["kernel"].reshape(width, *split), "bias": qkv["bias"].reshape(split)},
        "out": {"kernel": out["kernel"].reshape(*split[1:], width), "bias": out["bias"]},
    }
    blocks = {
        "norm1": norm(weight, f"{block}.norm1"),
        "norm2": norm(weight, f"{block}.norm2"),
        "attention": attention,
        "mlp": {"up": dense(weight, f"{block}.mlp.fc1"), "down": dense(weight, f"{block}.mlp.fc2")},
    }
    return {
        "embed": dense(weight, "decoder_embed"),
        "mask_token": weight["mask_token"].ravel(),
        "decoder": {"block": jax.tree.map(lambda x: x[None], blocks)},
        "norm": norm(weight, "decoder_norm"),
        "head": dense(weight, "decoder_pred"),
    }


def test_mae_is_that_of_its_authors():
    with np.load(REFERENCE) as file:
        stored = {name: jnp.asarray(a) for name, a in file.items()}
    weights = [name for name in stored if name.startswith("weight/")]
    tensors = {name.removeprefix("weight/"): np.asarray(stored[name]) for name in weights}
    x, mask = stored["input"], stored["mask"]
    backbone = ViT(width=24, depth=2, heads=2, patch=4, image_size=16, positions="sinusoidal")
    module = MaskedAutoencoder(backbone, MAEDecoder(16, 1, 2))
    imported, _ = import_weights(tensors, MAE, jax.eval_shape(backbone.init, KEY, x))
    decoder = decoder_params({k: a.astype(np.float32) for k, a in tensors.items()}, heads=2)
    variables = {"params": {"backbone": imported["params"], "decoder": decoder}}
    order = jnp.argsort(stored["noise"], axis=-1)
    init = jax.eval_shape(lambda: module.init(KEY, x, order, 4))
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, init)

    predicted = jax.jit(lambda variables: module.apply(variables, x, order, 4))(variables)
    size = np.abs(stored["predicted"]).max()
    np.testing.assert_allclose(predicted, stored["predicted"], atol=1e-5 * size)
    target = normalised_patches(to_patches(x, 4).reshape(2, 16, -1))
    loss = masked_mean((predicted - target) ** 2, mask).mean()
    np.testing.assert_allclose(loss, stored["loss"], rtol=1e-5)


@pytest.mark.parametrize("shape", [(2, 8, 12, 1), (1, 8, 4, 8, 2)])
def test_the_encoder_knows_nothing_of_hidden_patches(shape):
    x, count = image(*shape), int(np.prod(np.asarray(shape[1:-1]) // 4))
    kept = count // 2
    order = jax.vmap(lambda key: jax.random.permutation(key, count))(
        jax.random.split(jax.random.key(1), shape[0])
    )
    module = MaskedAutoencoder(VIT, MAEDecoder(12, 1, 2))
    variables = jax.jit(lambda: module.init(KEY, x, order, kept))()

    def encoded(x):
        out = module.apply(variables, x, order, kept, method="encode")
        weights = jnp.cos(jnp.arange(out.patches.size, dtype=jnp.float32))
        return jnp.sum(out.patches.ravel() * weights) + jnp.sum(jnp.sin(out.class_token))

    def all_predictions(x):
        return jnp.sum(jnp.sin(module.apply(variables, x, order, kept)))

    encoder, whole = (
        to_patches(g, 4)
        for g in jax.jit(lambda x: (jax.grad(encoded)(x), jax.grad(all_predictions)(x)))(x)
    )
    hidden = np.asarray(jnp.argsort(order, axis=-1) >= kept)
    for grad in (encoder, whole):
        grad = np.asarray(grad).reshape(shape[0], count, -1)
        assert (grad[hidden] == 0).all()
        assert (grad[~hidden] != 0).any(-1).all()


def test_mae_takes_the_error_of_hidden_patches_alone():
    x = image(2, 8, 8, 1)
    patches = normalised_patches(to_patches(x, 4).reshape(2, 4, 16))
    np.testing.assert_allclose(patches.mean(-1), 0, atol=1e-6)
    np.testing.assert_allclose(jnp.std(patches, axis=-1, ddof=1), 1, rtol=1e-4)
    assert not np.any(normalised_patches(jnp.full((1, 3, 8), 7.0)))
    # A head of zeros predicts zeros, whose error is that patch's variance: 15 / 16.
    learner = mae(VIT, optax.sgd(0.0), ratio=0.5, decoder=MAEDecoder(12, 1, 2))
    batch = {"image": x, "index": jnp.arange(2)}

    def loss():
        state = learner.init(KEY, batch)
        head = jax.tree.map(jnp.zeros_like, state.params["decoder"]["head"])
        decoder = {**state.params["decoder"], "head": head}
        state = state.replace(params={**state.params, "decoder": decoder})
        return learner.step(state, batch, KEY)[1]["loss"]

    np.testing.assert_allclose(jax.jit(loss)(), 15 / 16, rtol=1e-4)


@pytest.mark.parametrize("backbone", ["vit", "swin", "swin3d"])
def test_simmim_sees_nothing_behind_the_mask(backbone):
    shape = (2, 8, 8, 8, 1) if backbone == "swin3d" else (2, 16, 16, 1)
    swin = Swin(width=4, depths=(1, 1), heads=(1, 2), patch=2, window=2)
    module = SimMIM(VIT if backbone == "vit" else swin)
    x, units = image(*shape), tuple(n // 4 for n in shape[1:-1])
    cells = np.random.default_rng(1).random((2, *units)) < 0.5
    mask = np.kron(cells, np.ones((1,) + (4,) * len(units), bool))
    other = jnp.where(mask[..., None], jnp.nan, x)

    def both():
        variables = module.init(KEY, x, jnp.asarray(mask))
        predict = lambda x: module.apply(variables, x, jnp.asarray(mask))  # noqa: E731
        changed = jnp.where(mask[..., None], x, x + 1)
        return variables, predict(x), predict(other), predict(changed)

    variables, predicted, same, changed = jax.jit(both)()
    assert predicted.shape == x.shape
    np.testing.assert_array_equal(predicted, same)
    assert np.abs(changed - predicted).max() > 1e-4
    assert set(variables["params"]) == {"backbone", "head", "mask_token"}
    # The backbone's tree is that of the backbone alone.
    plain = jax.eval_shape(lambda: module.backbone.init(KEY, x))["params"]
    assert jax.tree.structure(plain) == jax.tree.structure(variables["params"]["backbone"])


def test_simmim_hides_whole_units_by_its_ratio():
    learner = simmim(VIT, optax.sgd(0.1), unit=(4, 8), ratio=0.3)
    batch = {"image": image(2, 8, 16, 1), "index": jnp.arange(2)}
    assert jax.eval_shape(lambda: learner.init(KEY, batch)).params["mask_token"].shape == (12,)
    with pytest.raises(InputError, match=r"unit: expected a multiple of the patch \(4, 4\)"):
        simmim(VIT, optax.sgd(0.1), unit=6).init(KEY, batch)
    with pytest.raises(InputError, match="backbone: expected one that embeds patches"):
        simmim(UNet(1), optax.sgd(0.1), unit=4).init(KEY, batch)


def test_masked_means_and_patches():
    error = jnp.arange(8.0).reshape(1, 4, 2)
    mask = jnp.asarray([[True, False, True, False]])
    np.testing.assert_allclose(masked_mean(error, mask), [(0.5 + 4.5) / 2])
    x = image(1, 8, 12, 3)
    np.testing.assert_array_equal(from_patches(to_patches(x, 4), (4, 4), (8, 12)), x)
