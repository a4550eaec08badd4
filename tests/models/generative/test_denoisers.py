"""What denoisers of diffusion promise beyond the laws of all models."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference.filling import state, uniform

from medjax.core.errors import InputError
from medjax.learners.diffusion import cosine, linear
from medjax.models.generative import DiffusionUNet, SwinDenoiser

KEY = jax.random.key(0, impl="philox2x32")
STORED = np.load(Path(__file__).parents[2] / "reference" / "diffusion.npz")

DENOISERS = {
    "unet": DiffusionUNet(1, (4, 8), blocks=1, attention=(1,), groups=2, classes=3),
    "swin": SwinDenoiser(1, width=8, depth=2, heads=2, window=2, classes=3),
}


def image(*shape):
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


def imported(values):
    """Parameters of `DiffusionUNet` from a state dictionary of diffusers."""

    def dense(name):
        return {"kernel": values[f"{name}.weight"].T, "bias": values[f"{name}.bias"]}

    def conv(name):
        kernel = values[f"{name}.weight"].transpose(2, 3, 1, 0)
        return {"kernel": kernel, "bias": values[f"{name}.bias"]}

    def norm(name):
        return {"scale": values[f"{name}.weight"], "bias": values[f"{name}.bias"]}

    def block(name):
        parts = {
            "norm1": norm(f"{name}.norm1"),
            "conv1": conv(f"{name}.conv1"),
            "embedding": dense(f"{name}.time_emb_proj"),
            "norm2": norm(f"{name}.norm2"),
            "conv2": conv(f"{name}.conv2"),
        }
        if f"{name}.conv_shortcut.weight" in values:
            parts["shortcut"] = conv(f"{name}.conv_shortcut")
        return parts

    def attention(name, heads=2):
        parts = [dense(f"{name}.to_{part}") for part in "qkv"]
        kernel = np.stack([p["kernel"] for p in parts], 1)
        channels = kernel.shape[0]
        out = dense(f"{name}.to_out.0")
        return {
            "norm": norm(f"{name}.group_norm"),
            "attention": {
                "qkv": {
                    "kernel": kernel.reshape(channels, 3, heads, -1),
                    "bias": np.stack([p["bias"] for p in parts]).reshape(3, heads, -1),
                },
                "out": {**out, "kernel": out["kernel"].reshape(heads, -1, channels)},
            },
        }

    return {
        "embedding": {
            "hidden": dense("time_embedding.linear_1"),
            "out": dense("time_embedding.linear_2"),
            "classes": {"embedding": values["class_embedding.weight"]},
        },
        "stem": conv("conv_in"),
        "encoder0_0": block("down_blocks.0.resnets.0"),
        "down1": conv("down_blocks.0.downsamplers.0.conv"),
        "encoder1_0": block("down_blocks.1.resnets.0"),
        "encoder1_0_attention": attention("down_blocks.1.attentions.0"),
        "middle_0": block("mid_block.resnets.0"),
        "middle_0_attention": attention("mid_block.attentions.0"),
        "middle_1": block("mid_block.resnets.1"),
        "decoder1_0": block("up_blocks.0.resnets.0"),
        "decoder1_0_attention": attention("up_blocks.0.attentions.0"),
        "decoder1_1": block("up_blocks.0.resnets.1"),
        "decoder1_1_attention": attention("up_blocks.0.attentions.1"),
        "up1": conv("up_blocks.0.upsamplers.0.conv"),
        "decoder0_0": block("up_blocks.1.resnets.0"),
        "decoder0_1": block("up_blocks.1.resnets.1"),
        "norm": norm("conv_norm_out"),
        "head": conv("conv_out"),
    }


@pytest.mark.parametrize("kind", ["scale_shift", "added"])
def test_the_unet_agrees_with_another_library(kind):
    """Hugging Face's, see tests/reference/make_diffusion.py."""
    module = DiffusionUNet(
        2,
        (8, 16),
        blocks=1,
        attention=(1,),
        classes=3,
        scale_shift=kind == "scale_shift",
        head_channels=8,
        groups=4,
    )
    params = jax.tree.map(jnp.asarray, imported(state(json.loads(str(STORED[f"{kind}_shapes"])))))
    x = jnp.moveaxis(jnp.asarray(uniform("input", (2, 2, 8, 12))), 1, -1)
    time, label = jnp.asarray([3.0, 400.0]), jnp.asarray([2, 0])
    shapes = jax.eval_shape(module.init, KEY, x, time, None, label)["params"]
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, shapes)

    def energy(x):
        y = module.apply({"params": params}, x, time, None, label)
        return 0.5 * jnp.sum(y**2), y

    gradient, output = jax.jit(jax.grad(energy, has_aux=True))(x)
    for got, name in ((output, "output"), (gradient, "gradient")):
        expected = np.moveaxis(STORED[f"{kind}_{name}"], 1, -1)
        np.testing.assert_allclose(got, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("name", "levels"), [("linear", linear()), ("cosine", cosine())])
def test_schedules_agree_with_another_library(name, levels):
    np.testing.assert_allclose(levels.alpha[::37] ** 2, STORED[name], rtol=2e-4, atol=1e-7)


@pytest.mark.parametrize("spatial", [(9, 6), (5, 4, 6)])
@pytest.mark.parametrize("name", DENOISERS)
def test_denoisers_go_by_images_and_classes(name, spatial):
    module = DENOISERS[name]
    x, condition = image(2, *spatial, 1), image(2, *spatial, 3)
    time, label = jnp.asarray([0.0, 1.0]), jnp.asarray([1, -1])
    arguments = (x, time, condition, label)
    output, variables = jax.eval_shape(module.init_with_output, KEY, *arguments)
    assert (output.shape, output.dtype) == (x.shape, jnp.float32)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(variables)} == {"float32"}


@pytest.mark.parametrize("name", DENOISERS)
def test_a_sample_hears_of_its_own_level_condition_and_class_alone(name):
    module = DENOISERS[name]
    x, condition = image(2, 4, 4, 1), image(2, 4, 4, 1)
    time, label = jnp.asarray([0.5, 0.5]), jnp.asarray([1, -1])
    shapes = jax.eval_shape(module.init, KEY, x, time, condition, label)
    # No compiler is needed to draw weights.
    variables = jax.tree.map(lambda leaf: 0.3 * image(*leaf.shape), shapes)
    apply = jax.jit(module.apply)

    def changed(*arguments):
        difference = apply(variables, *arguments) - apply(variables, x, time, condition, label)
        return np.abs(difference).max(axis=(1, 2, 3)) > 1e-6

    assert changed(x, time.at[0].set(3.0), condition, label).tolist() == [True, False]
    assert changed(x, time, condition.at[0].set(0.0), label).tolist() == [True, False]
    assert changed(x, time, condition, label.at[0].set(0)).tolist() == [True, False]
    # All negative labels are none.
    assert changed(x, time, condition, jnp.asarray([1, -7])).tolist() == [False, False]


@pytest.mark.parametrize(
    ("module", "changes", "message"),
    [
        (DENOISERS["unet"], {"condition": jnp.zeros((2, 4, 5, 1))}, "condition: expected an image"),
        (DiffusionUNet(1, (4,)), {}, "strides: expected one entry for each of 0 reductions"),
        (DiffusionUNet(1, (4, 4), attention=(2,)), {}, "attention: expected levels from 0 to 1"),
        (SwinDenoiser(1, 8, 1, 2), {"label": jnp.zeros(2, jnp.int32)}, "label: expected none"),
        (DENOISERS["swin"], {"x": jnp.zeros((2, 4, 1))}, "SwinDenoiser: expected a floating"),
    ],
)
def test_what_does_not_fit_is_refused(module, changes, message):
    arguments = {"x": image(2, 4, 4, 1), "time": jnp.zeros(2), **changes}
    with pytest.raises(InputError, match=message):
        jax.eval_shape(module.init, KEY, **arguments)
