"""Laws of super-resolution networks, 2D and 3D, and what each promises beside them."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference.filling import filled

from medjax.core.errors import InputError
from medjax.core.trees import count, map_named, named_leaves
from medjax.image.resize import enlarged
from medjax.models import MODELS
from medjax.models.restoration import (
    EDSR,
    LIIF,
    MIRN,
    RWMAN,
    SRCNN,
    Degrader,
    FuzzyAttentionSR,
    MambaIR,
    NExpR,
    PairDiscriminator,
    PyramidalDistillation,
    RIRGenerator,
    RRDBNet,
    SGSRNet,
    TextureTransformer,
    ThreeStageSR,
    WaveletSR,
)

# Threefry takes XLA on CPU a second a parameter to compile.
KEY = jax.random.key(0, impl="philox2x32")
REFERENCE = np.load(Path(__file__).parents[2] / "reference" / "super_resolution.npz")


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


# name: a module for a scale and dtype
CASES = {
    "srcnn": lambda s, d: SRCNN(s, (4, 3), dtype=d),
    "edsr": lambda s, d: EDSR(s, 4, 1, dtype=d),
    "rrdb_net": lambda s, d: RRDBNet(s, 4, 1, 2, dtype=d),
    "rirgan": lambda s, d: RIRGenerator(s, 4, 1, 1, dtype=d),
    "medsrgan": lambda s, d: RWMAN(s, 4, 1, 1, dtype=d),
    "three_stage_sr": lambda s, d: ThreeStageSR(s, 4, (1, 3), (1,), 1, norm="instance", dtype=d),
    "mirn": lambda s, d: MIRN(s, 4, 1, 2, dtype=d),
    "fuzzy_attention_sr": lambda s, d: FuzzyAttentionSR(s, 4, 1, 2, 2, (1, 2), dtype=d),
    "pyramidal_distillation": lambda s, d: PyramidalDistillation(s, 6, 1, (1, 3), (6,), dtype=d),
    "texture_transformer": lambda s, d: TextureTransformer(s, 4, 1, 3, dtype=d),
    "wavelet_sr": lambda s, d: WaveletSR(s, (4, 3), (1.0,), dtype=d),
    "sg_srnet": lambda s, d: SGSRNet(s, 4, 1, 3, 8, 1, 2, dtype=d),
    "liif": lambda s, d: LIIF(s, 4, 1, (6,), dtype=d),
    "nexpr": lambda s, d: NExpR(s, 4, 1, 2, 2, hidden=(6,), dtype=d),
    "mamba_ir": lambda s, d: MambaIR(s, 6, (1,), state=2, dtype=d),
}
ANY_SIZE = ("liif", "nexpr", "pyramidal_distillation")
WITH_REFERENCE = ("texture_transformer", "sg_srnet")


def test_every_super_resolution_network_has_a_case():
    files = (
        "srcnn",
        "edsr",
        "residual_in_residual",
        "three_stage",
        "mirn",
        "fuzzy_attention",
        "pyramidal_distillation",
        "texture_transformer",
        "wavelet_sr",
        "sg_srnet",
        "arbitrary_scale",
        "mamba_ir",
    )
    homes = tuple(f"medjax.models.restoration.{name}:" for name in files)
    named = {name for name, target in MODELS.targets.items() if target.startswith(homes)}
    assert named == set(CASES)
    assert all(MODELS.summary(name) for name in named)


@pytest.mark.parametrize(
    ("spatial", "scale", "dtype"),
    [((5, 6), (3, 1), jnp.bfloat16), ((4, 5, 3), (1, 1, 4), jnp.float32)],
)
@pytest.mark.parametrize("name", CASES)
def test_each_axis_is_enlarged_by_its_scale_in_two_and_three_dimensions(
    name, spatial, scale, dtype
):
    x = jax.ShapeDtypeStruct((2, *spatial, 2), jnp.float32)
    wanted = (2, *(n * s for n, s in zip(spatial, scale, strict=True)), 2)
    module = CASES[name](scale, dtype)
    output, variables = jax.eval_shape(module.init_with_output, KEY, x)
    assert (output.shape, output.dtype) == (wanted, jnp.float32)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(variables["params"])} == {"float32"}


@functools.cache
def stepped(name):
    """Gradients and the output of a network on 2D images."""
    module, x = CASES[name](2, jnp.float32), normal(0, 2, 6, 4, 1)
    variables = jax.jit(module.init)(KEY, x)

    @jax.jit
    def step(params):
        def loss(params):
            y = module.apply({"params": params}, x, train=True)
            return jnp.mean((y - 1) ** 2), y

        return jax.grad(loss, has_aux=True)(params)

    return step(variables["params"])


@pytest.mark.parametrize("name", CASES)
def test_one_step_is_finite_and_reaches_every_parameter(name):
    gradients, output = stepped(name)
    for path, leaf in named_leaves((gradients, output)):
        assert np.isfinite(leaf).all(), path
    for path, leaf in named_leaves(gradients):
        assert np.abs(leaf).max() > 1e-7, path


def parameters(module, channels):
    x = jax.ShapeDtypeStruct((1, 8, 8, channels), jnp.float32)
    return jax.eval_shape(module.init, KEY, x)["params"]


def test_the_numbers_of_parameters_are_the_papers():
    weights = [leaf.size for path, leaf in named_leaves(parameters(SRCNN(), 1)) if "kernel" in path]
    assert sum(weights) == 8032
    baseline = parameters(EDSR(2, blocks=1), 3)
    block = count(baseline["body"]["block0"])
    assert count(baseline) + 15 * block == 1_369_859
    esrgan = parameters(RRDBNet(4, blocks=1), 3)
    assert round((count(esrgan) + 22 * count(esrgan["block0"])) / 1e6, 1) == 16.7
    assert (EDSR().blocks, RRDBNet().blocks, RWMAN().groups * RWMAN().blocks) == (16, 23, 128)


def test_edsr_is_that_of_pytorch():
    module, x = EDSR(6, 4, 2, 0.1), jnp.asarray(np.moveaxis(REFERENCE["edsr_in"], 1, -1))
    homes = {"body": "conv", "upscale/step0": "steps.0", "upscale/step1": "steps.1"}

    def filling(path, leaf):
        *home, layer, kind = path.split("/")
        name = homes.get("/".join(home), layer)
        if layer.startswith("conv") and home[-1].startswith("block"):
            name = f"blocks.{home[-1][5:]}.{layer}"
        shape = leaf.shape if kind == "bias" else (*leaf.shape[:1:-1], *leaf.shape[:2])
        value = filled(f"{name}.{'bias' if kind == 'bias' else 'weight'}", shape)
        return jnp.asarray(value if kind == "bias" else value.transpose(2, 3, 1, 0))

    params = map_named(filling, jax.eval_shape(module.init, KEY, x)["params"])
    got = jax.jit(module.apply)({"params": params}, x)
    np.testing.assert_allclose(got, np.moveaxis(REFERENCE["edsr_out"], 1, -1), atol=1e-4)


@pytest.mark.parametrize("name", ANY_SIZE)
def test_any_number_of_voxels_may_be_asked_for(name):
    for spatial, size in (((6, 5), (7, 13)), ((4, 3, 5), (4, 7, 6))):
        x = jax.ShapeDtypeStruct((1, *spatial, 1), jnp.float32)
        module = CASES[name](2, jnp.float32)
        made = functools.partial(module.init_with_output, size=size)
        assert jax.eval_shape(made, KEY, x)[0].shape == (1, *size, 1)
    with pytest.raises(InputError, match="size: expected 3 positive numbers"):
        jax.eval_shape(functools.partial(module.init, size=(7,)), KEY, x)


@pytest.mark.parametrize("name", WITH_REFERENCE)
def test_a_reference_is_seen_and_one_that_does_not_fit_is_refused(name):
    module, x, reference = CASES[name](2, jnp.float32), normal(0, 1, 4, 3, 1), normal(1, 1, 8, 6, 1)
    shapes = jax.eval_shape(module.init, KEY, x, reference)
    shapes = {"params": shapes["params"]}
    variables = jax.tree.map(lambda s: normal(s.size, *s.shape) / s.size**0.25, shapes)
    apply = jax.jit(module.apply)
    one, other = (apply(variables, x, r) for r in (reference, reference[:, ::-1]))
    assert one.shape == (1, 8, 6, 1)
    assert np.abs(one - other).max() > 1e-4
    with pytest.raises(InputError, match="reference: expected"):
        jax.eval_shape(module.init, KEY, x, reference[:, 1:])


def test_a_texture_reference_may_have_other_sizes():
    module, x, reference = TextureTransformer(4, 4, 1, 3), (1, 4, 3, 1), (1, 8, 12, 1)
    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in (x, reference)]
    assert jax.eval_shape(module.init_with_output, KEY, *shapes)[0].shape == (1, 16, 12, 1)


def test_networks_that_add_to_the_interpolated_image_begin_near_it():
    x = normal(0, 1, 6, 4, 1)
    for module in (MIRN(2, 4, 1, 1), WaveletSR(2, (4, 3), ())):
        params = jax.tree.map(jnp.zeros_like, jax.eval_shape(module.init, KEY, x)["params"])
        got = jax.jit(module.apply)({"params": params}, x)
        np.testing.assert_allclose(got, enlarged(x, (2, 2)), atol=1e-5)


def test_a_share_of_the_patches_is_attended_to_and_the_mask_is_kept():
    module, x = SGSRNet(2, 4, 1, 3, 8, 1, 2, share=0.25), normal(0, 2, 6, 6, 1)
    init = functools.partial(module.init, capture_intermediates=True)
    kept = jax.eval_shape(init, KEY, x)["intermediates"]
    assert kept["mask"][0].shape == (2, 12, 12, 1)
    assert kept["transformer0"]["__call__"][0].shape == (2, 4, 8)
    with pytest.raises(InputError, match="share: expected a number above 0"):
        jax.eval_shape(SGSRNet(share=0.0).init, KEY, x)


@pytest.mark.parametrize(("spatial", "scale"), [((8, 12), 4), ((4, 6, 8), (1, 2, 2))])
def test_the_pair_discriminator_gives_logits_and_five_maps(spatial, scale):
    factors = (scale,) * len(spatial) if isinstance(scale, int) else scale
    small = tuple(n // s for n, s in zip(spatial, factors, strict=True))
    fine, coarse = (jax.ShapeDtypeStruct((2, *n, 1), jnp.float32) for n in (spatial, small))
    module = PairDiscriminator(scale, (4, 4, 8, 8), norm="instance")
    (logits, maps), _ = jax.eval_shape(module.init_with_output, KEY, fine, coarse)
    assert logits.shape == (2, 1)
    assert [m.shape[1:-1] for m in maps[:2]] == [spatial, small]
    assert len(maps) == 5
    with pytest.raises(InputError, match="coarse: expected sizes"):
        jax.eval_shape(module.init, KEY, fine, fine)


def test_the_degrader_begins_near_the_means_of_blocks():
    x = normal(0, 2, 6, 4, 1)
    params = jax.eval_shape(Degrader((3, 2), 4, 1).init, KEY, x)["params"]
    zero = {"params": jax.tree.map(jnp.zeros_like, params)}
    wanted = np.asarray(x).reshape(2, 2, 3, 2, 2, 1).mean(axis=(2, 4))
    np.testing.assert_allclose(Degrader((3, 2), 4, 1).apply(zero, x), wanted, atol=1e-6)
    volume = jax.ShapeDtypeStruct((1, 4, 3, 6, 2), jnp.float32)
    output, _ = jax.eval_shape(Degrader((2, 1, 3), 4, 1).init_with_output, KEY, volume)
    assert output.shape == (1, 2, 3, 2, 2)
    with pytest.raises(InputError, match="image: expected sizes that are multiples of"):
        jax.eval_shape(Degrader(4).init, KEY, x)


@pytest.mark.parametrize("module", [PairDiscriminator(2, (4, 4)), Degrader(2, 4, 1)])
def test_gradients_reach_every_parameter_of_what_cycles_and_games_add(module):
    x, coarse = normal(0, 2, 8, 4, 1), normal(1, 2, 4, 2, 1)
    inputs = (x, coarse) if isinstance(module, PairDiscriminator) else (x,)
    params = jax.jit(module.init)(KEY, *inputs)["params"]

    def loss(params):
        made = jax.tree.leaves(module.apply({"params": params}, *inputs, train=True))
        return sum(jnp.mean((y - 1) ** 2) for y in made)

    for path, leaf in named_leaves(jax.jit(jax.grad(loss))(params)):
        assert np.isfinite(leaf).all(), path
        assert np.abs(leaf).max() > 1e-7, path


def test_settings_that_cannot_be_are_refused():
    x = jnp.zeros((1, 4, 4, 1))
    for module, match in (
        (SRCNN(2, (4,)), "kernel_sizes: expected 2"),
        (EDSR((2, 2, 2)), "scale: expected a positive integer, or 2 of them"),
        (ThreeStageSR(kernel_sizes=()), "kernel_sizes: expected at least one"),
        (NExpR(degree=3), "degree: expected an even number of at least 2, got 3"),
        (PyramidalDistillation(kernel_sizes=()), "kernel_sizes: expected 1 to 48"),
    ):
        with pytest.raises(InputError, match=match):
            jax.eval_shape(module.init, KEY, x)
