"""Laws of the convolutional backbones: shapes, gradients, placement, and published sizes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from medjax.core.errors import InputError
from medjax.core.trees import count, map_named, named_leaves
from medjax.models.classifiers import (
    VGG,
    AlexNet,
    ConvNeXt,
    DenseNet,
    EfficientNet,
    GoogLeNet,
    MobileNet,
    ResNet,
)
from medjax.models.classifiers.googlenet import Branches
from medjax.models.classifiers.inverted import Inverted

# Threefry takes XLA on CPU a second a parameter to compile.
KEY = jax.random.key(0, impl="philox2x32")
INCEPTION = Branches(8, 8, 8, 8, 8, 8)
BLOCKS = (Inverted(3, 8, 8, 1, "relu6", 8), Inverted(5, 16, 12, 2, "silu", 8))
SMALL = {"depths": (1, 1, 1), "widths": (8, 8, 8)}

# Each with the reductions of its maps.
CASES = {
    "resnet": (ResNet(3, **SMALL, stem=8, drop_path=0.1), (2, 4, 8, 16)),
    "densenet": (DenseNet(3, (1, 1, 1), growth=8, stem=8), (2, 4, 8, 16)),
    "mobilenet": (MobileNet(3, BLOCKS, stem=8, last=16, hidden=8), (2, 4)),
    "efficientnet": (EfficientNet(3, BLOCKS, stem=8, last=16), (2, 4)),
    "vgg": (VGG(3, (1,) * 4, (8,) * 4, grid=2, hidden=(16, 8)), (1, 2, 4, 8)),
    "alexnet": (AlexNet(3, (8, 8, 8, 8, 8), grid=2, hidden=(16, 8)), (4, 8, 16)),
    "googlenet": (GoogLeNet(3, ((INCEPTION,),) * 2, (8, 8, 8)), (2, 4, 8, 16)),
    "convnext": (ConvNeXt(3, **SMALL, layer_scale=0.5, drop_path=0.1), (4, 8, 16)),
}
SIZE = {"alexnet": 64}  # which others need not
# Constants before a convolution and batch norm, which takes them away.
WITHOUT_GRADIENT = ("block0/project/norm/bias", "block1/project/norm/bias")


def image(*shape):
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


def compiled(function, *arguments):
    return jax.jit(function).lower(*arguments).compile()


@functools.cache
def initialised(name):
    """The module, images, and variables such as it makes, whose program takes long to compile."""
    module, x = CASES[name][0], image(8, *(SIZE.get(name, 32),) * 2, 1)
    constants = {"scale": 1, "var": 1, "bias": 0, "mean": 0}

    def filled(path, leaf):
        if (kind := path.split("/")[-1]) in constants:
            return jnp.full(leaf.shape, constants[kind], leaf.dtype)
        return (2 / np.prod(leaf.shape[:-1])) ** 0.5 * image(*leaf.shape)

    return module, x, map_named(filled, jax.eval_shape(module.init, KEY, x))


@pytest.mark.parametrize("spatial", [(64, 96), (64, 96, 64)])
@pytest.mark.parametrize("name", CASES)
def test_features_are_a_vector_and_maps_of_falling_size_in_two_and_three_dimensions(name, spatial):
    module, reductions = CASES[name]
    x = jax.ShapeDtypeStruct((2, *spatial, 2), jnp.float32)
    logits, variables = jax.eval_shape(module.init_with_output, KEY, x)
    assert (logits.shape, logits.dtype) == ((2, 3), jnp.float32)
    features = jax.eval_shape(functools.partial(module.apply, method="features"), variables, x)
    assert features.pooled.shape[:1] == (2,)
    assert features.pooled.dtype == jnp.float32
    for found, reduction in zip(features.maps, reductions, strict=True):
        expected = (2, *(n // reduction for n in spatial))
        # AlexNet's windows of 11 have few zeros around them.
        difference = np.subtract(found.shape[:-1], expected)
        assert np.abs(difference).max() <= (name == "alexnet")
    bare = module.clone(classes=0)
    pooled, without = jax.eval_shape(bare.init_with_output, KEY, x)
    assert pooled.shape == features.pooled.shape
    assert "head" not in without["params"]


@pytest.mark.parametrize("name", CASES)
def test_one_step_is_finite_reaches_every_parameter_and_is_the_same_on_eight_devices(name):
    module, x, variables = initialised(name)

    def step(variables, x):
        def loss(params):
            # One key for the whole batch: what is dropped is drawn alike on any devices.
            y, learned = module.apply(
                {**variables, "params": params},
                x,
                train=True,
                rngs={"dropout": jax.random.key(1)},
                mutable=["batch_stats"],
            )
            return jnp.mean((y - 1) ** 2), learned

        return jax.grad(loss, has_aux=True)(variables["params"])

    result = compiled(step, variables, x)(variables, x)
    for path, leaf in named_leaves(result):
        assert np.isfinite(leaf).all(), path
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(result[0]))
    for path, leaf in named_leaves(result[0]):
        assert (np.abs(leaf).max() > 1e-6 * largest) != (path in WITHOUT_GRADIENT), path

    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    placed = (
        jax.device_put(variables, NamedSharding(mesh, PartitionSpec())),
        jax.device_put(x, NamedSharding(mesh, PartitionSpec("data"))),
    )
    program = compiled(step, *placed)
    # Running statistics too: batch norm saw one batch, of eight devices.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(
            a, b, atol=1e-4 * np.abs(b).max() + 1e-6 * max(largest, 0.1)
        ),
        program(*placed),
        result,
    )


@pytest.mark.parametrize("name", ["resnet", "convnext", "efficientnet"])
def test_computing_in_bfloat16_keeps_parameters_and_outputs_at_full_precision(name):
    module, x, variables = initialised(name)
    half = module.clone(dtype=jnp.bfloat16)
    apply = functools.partial(half.apply, method="features")
    maps = jax.eval_shape(apply, variables, x).maps
    assert {m.dtype for m in maps} == {jnp.dtype(jnp.bfloat16)}
    output = compiled(half.apply, variables, x)(variables, x)
    expected = compiled(module.apply, variables, x)(variables, x)
    assert output.dtype == jnp.float32
    difference = float(jnp.linalg.norm(output - expected) / jnp.linalg.norm(expected))
    assert 0 < difference < 0.05


@pytest.mark.parametrize("attention", ["none", "se", "spatial", "cbam", "nonlocal"])
@pytest.mark.parametrize("name", CASES)
def test_attention_is_an_option_and_adds_parameters_of_its_own(name, attention):
    module = CASES[name][0].clone(attention=attention)
    if name in ("mobilenet", "efficientnet"):
        more = tuple(Inverted(3, 12, 12, 2, "relu", 8) for _ in range(2))
        module = module.clone(blocks=BLOCKS + more)
    x = jax.ShapeDtypeStruct((1, 64, 64, 64, 1), jnp.float32)
    params = jax.eval_shape(module.init, KEY, x)["params"]
    attends = [path for path, _ in named_leaves(params) if "attention" in path]
    assert bool(attends) == (attention != "none")


@pytest.mark.parametrize("norm", ["instance", "group", "layer", "batch", "weight_standardised"])
@pytest.mark.parametrize("name", CASES)
def test_every_norm_fits_every_backbone_and_only_batch_norm_keeps_statistics(name, norm):
    module = CASES[name][0].clone(norm=norm)
    x = jax.ShapeDtypeStruct((1, 64, 64, 1), jnp.float32)
    variables = jax.eval_shape(module.init, KEY, x)
    assert ("batch_stats" in variables) == (norm == "batch")
    assert any("norm/scale" in path for path, _ in named_leaves(variables["params"]))


PUBLISHED = [
    (ResNet, "18", 11_689_512),
    (ResNet, "50", 25_557_032),
    (ResNet, "wide50", 68_883_240),
    (DenseNet, "121", 7_978_856),
    (DenseNet, "161", 28_681_000),
    (EfficientNet, "b0", 5_288_548),
    (EfficientNet, "b3", 12_233_232),
    (MobileNet, "v2", 3_504_872),
    (MobileNet, "v3_large", 5_483_032),
    (MobileNet, "v3_small", 2_542_856),
    (VGG, "16", 138_357_544),
    (ConvNeXt, "t", 28_589_128),
]


@pytest.mark.parametrize(("family", "size", "parameters"), PUBLISHED)
def test_named_sizes_have_the_published_number_of_parameters(family, size, parameters):
    check_count(family.named(size, classes=1000), parameters)


def test_networks_of_one_size_have_the_published_number_of_parameters():
    check_count(AlexNet(1000), 61_100_840)
    check_count(GoogLeNet(1000, large_kernel=3), 6_624_904)


def check_count(module, parameters):
    x = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    assert count(jax.eval_shape(module.init, KEY, x)["params"]) == parameters


@pytest.mark.parametrize("family", [ResNet, DenseNet, EfficientNet, MobileNet, VGG, ConvNeXt])
def test_sizes_that_are_not_known_are_refused_with_those_that_are(family):
    with pytest.raises(InputError, match=r"size: expected one of .* got 'huge'"):
        family.named("huge")


def test_auxiliary_heads_learn_from_the_middle_of_the_network():
    module = GoogLeNet(3, ((INCEPTION,), (INCEPTION,) * 3, (INCEPTION,)), (8, 8, 8), auxiliary=True)
    x = jax.ShapeDtypeStruct((2, 64, 64, 1), jnp.float32)
    variables = jax.eval_shape(module.init, KEY, x)
    assert {"head", "auxiliary1", "auxiliary2"} < set(variables["params"])
    apply = functools.partial(module.apply, method="with_auxiliary")
    assert [y.shape for y in jax.eval_shape(apply, variables, x)] == [(2, 3)] * 3
    plain = module.clone(auxiliary=False)
    with pytest.raises(InputError, match="auxiliary: expected a network with auxiliary=True"):
        jax.eval_shape(functools.partial(plain.apply, method="with_auxiliary"), variables, x)
    with pytest.raises(InputError, match="auxiliary: expected a network with classes"):
        jax.eval_shape(module.clone(classes=0).init, KEY, x)
