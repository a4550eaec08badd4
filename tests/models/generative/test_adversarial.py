"""Laws of generators and discriminators, 2D and 3D."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.core.trees import named_leaves
from medjax.models import MODELS
from medjax.models.generative import (
    DCGANDiscriminator,
    DCGANGenerator,
    PatchGAN,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
    TranslationResNet,
)

KEY = jax.random.key(0, impl="philox2x32")
NOISE = {name: jax.random.key(i, impl="philox2x32") for i, name in enumerate(("noise", "style"))}


def normal(*shape):
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


def noise(size):
    return (normal(4, 5),)


def images(size):
    return (normal(4, *size, 2),)


def labelled(size):
    return (*noise(size), jnp.arange(4) % 3)


# name: (module for a size and dtype, inputs, trailing shape of the output for a size)
CASES = {
    "dcgan_generator": (
        lambda size, d: DCGANGenerator(size, 2, (8, 4), dtype=d),
        noise,
        lambda size: (*size, 2),
    ),
    "dcgan_discriminator": (
        lambda size, d: DCGANDiscriminator(widths=(4, 8), deviation=4, dtype=d),
        images,
        lambda size: (1,),
    ),
    "patchgan": (
        lambda size, d: PatchGAN((4, 8), norm="instance", dtype=d),
        images,
        lambda size: (*(n // 2 - 2 for n in size), 1),
    ),
    "translation_resnet": (
        lambda size, d: TranslationResNet(2, (4, 8), 1, dtype=d),
        images,
        lambda size: (*size, 2),
    ),
    "stylegan2_generator": (
        lambda size, d: StyleGAN2Generator(size, 2, (8, 4), 2, 6, dtype=d),
        noise,
        lambda size: (*size, 2),
    ),
    "stylegan2_discriminator": (
        lambda size, d: StyleGAN2Discriminator((4, 8), dtype=d),
        images,
        lambda size: (1,),
    ),
}
FILES = ("dcgan", "patchgan", "stylegan2", "translation")
SIZES = [(8, 12), (8, 12, 8)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CASES)
def test_one_class_serves_two_and_three_dimensions_in_either_precision(name, size):
    make, inputs, trailing = CASES[name]
    for dtype in (jnp.float32, jnp.bfloat16):
        module = make(size, dtype)
        output, variables = jax.eval_shape(module.init_with_output, KEY, *inputs(size))
        assert (output.shape, output.dtype) == ((4, *trailing(size)), jnp.float32)
        assert {leaf.dtype.name for leaf in jax.tree.leaves(variables)} == {"float32"}


@pytest.mark.parametrize("name", CASES)
def test_one_step_is_finite_and_reaches_every_parameter(name):
    make, inputs, _ = CASES[name]
    module, batch = make(SIZES[0], jnp.float32), inputs(SIZES[0])
    variables = jax.jit(module.init)(KEY, *batch)

    @jax.jit
    def step(variables):
        def loss(params):
            own = {**variables, "params": params}
            y, after = module.apply(own, *batch, train=True, rngs=NOISE, mutable=list(variables))
            return jnp.mean((y - 1) ** 2), (y, after)

        return jax.grad(loss, has_aux=True)(variables["params"])

    gradients, (output, after) = step(variables)
    for path, leaf in named_leaves((gradients, output, after)):
        assert np.isfinite(leaf).all(), path
    for path, leaf in named_leaves(gradients):
        assert np.abs(leaf).max() > 1e-8, path
    assert jax.tree.structure(after) == jax.tree.structure(dict(variables))


def test_every_registered_network_has_a_case():
    files = [f"medjax.models.generative.{f}:" for f in FILES]

    named = {n for n, t in MODELS.targets.items() if t.startswith(tuple(files))}
    assert named == set(CASES)
    assert all(MODELS.summary(name) for name in named)


@pytest.mark.parametrize("size", SIZES)
def test_classes_join_noise_and_images(size):
    generator = DCGANGenerator(size, 1, (8, 4), classes=3)
    made = jax.eval_shape(generator.init_with_output, KEY, *labelled(size))[0]
    assert made.shape == (4, *size, 1)
    judge = DCGANDiscriminator(widths=(4,), labels=3, spectral=True, norm="none")
    image, label = normal(4, *size, 1), jnp.arange(4) % 3
    logits, variables = jax.eval_shape(judge.init_with_output, KEY, image, label)
    assert logits.shape == (4, 1)
    assert variables["params"]["conv0"]["kernel"].shape[-2] == 4  # the image and three classes
    with pytest.raises(InputError, match="label: expected classes below 3, got None"):
        jax.eval_shape(judge.init, KEY, image)
    with pytest.raises(InputError, match=r"label: expected integers \(4,\), got int32 \(4, 1\)"):
        jax.eval_shape(judge.init, KEY, image, label[:, None])


def test_a_patch_gan_of_four_widths_sees_seventy_voxels_and_its_condition():
    x = normal(1, 256, 256, 1)
    module = PatchGAN()
    logits, variables = jax.eval_shape(module.init_with_output, KEY, x, x)
    assert logits.shape == (1, 30, 30, 1)
    assert variables["params"]["conv0"]["kernel"].shape == (4, 4, 2, 64)
    reach, step = 1, 1
    for stride in (1, 1, 2, 2, 2):  # from the last layer to the first
        reach, step = (reach - 1) * stride + 4, step * stride
    assert (reach, step) == (70, 8)
    with pytest.raises(InputError, match="condition"):
        jax.eval_shape(module.init, KEY, x, x[:, 1:])


def test_styles_are_mixed_in_training_alone_and_truncation_leads_to_the_mean():
    module = StyleGAN2Generator((8, 8), 1, (4, 4), 2, 6, mixing=1.0)
    z = normal(4, 5)
    variables = jax.jit(module.init)(KEY, z)

    def styles(train, **rngs):
        apply = functools.partial(module.apply, train=train, method="styles", rngs=rngs)
        return np.asarray(jax.jit(apply)(variables, z))

    plain = styles(False, **NOISE)
    np.testing.assert_array_equal(plain, np.repeat(plain[:, :1], 4, 1))
    mixed = styles(True, **NOISE)
    for one, own in zip(mixed, plain, strict=True):
        same = np.isclose(one, own, atol=1e-6).all(-1)
        assert same[0]
        assert not same[-1]
        assert (np.diff(same.astype(int)) <= 0).all()  # one crossing
    np.testing.assert_allclose(styles(True), plain, atol=1e-6)

    # The mean style learns in training, and truncated images are all alike.
    learn = functools.partial(module.apply, train=True, method="styles", mutable=["statistics"])
    _, after = jax.jit(learn)(variables, z)
    np.testing.assert_allclose(after["statistics"]["style"], 0.005 * plain[:, 0].mean(0), rtol=1e-3)
    same = jax.jit(lambda v: module.apply(v, z, truncation=0.0))({**variables, **after})
    np.testing.assert_allclose(same[0], same[1], atol=1e-6)


def test_wrong_sizes_are_refused():
    with pytest.raises(InputError, match=r"size: expected 2 or 3 multiples of 4, got \(6, 8\)"):
        jax.eval_shape(DCGANGenerator((6, 8), 1, (8, 4)).init, KEY, normal(1, 3))
    with pytest.raises(InputError, match="size: expected 2 or 3 multiples of 2"):
        jax.eval_shape(StyleGAN2Generator((8,), 1, (8, 4)).init, KEY, normal(1, 3))
    small = normal(1, 7, 8, 1)
    for module, match in (
        (StyleGAN2Discriminator((4, 4)), "size: expected 2 or 3 multiples of 2"),
        (TranslationResNet(1, (4, 8)), "image: expected sizes that are multiples of 2, of 4"),
        (PatchGAN(), "image: expected sizes of 24 at least"),
        (DCGANDiscriminator(), "image: expected sizes of 16 at least"),
    ):
        with pytest.raises(InputError, match=match):
            jax.eval_shape(module.init, KEY, small)
