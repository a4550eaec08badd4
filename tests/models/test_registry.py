"""Laws of every model: shapes, gradients, placement, precision, scale."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from medjax.core.struct import struct
from medjax.core.trees import named_leaves
from medjax.models import (
    AUTOMAP,
    MODELS,
    RIM,
    WISTA,
    DeepCascade,
    DeepEquilibrium,
    DnCNN,
    ISTANet,
    KIKINet,
    LearnedPrimalDual,
    MoDL,
    Postprocess,
    Sensitivities,
    UNet,
    VarNet,
    WISTANet,
)
from medjax.models.classifiers import EfficientNet
from medjax.models.classifiers.inverted import Inverted
from medjax.models.generative import Autoencoder, DiffusionUNet, SwinDenoiser
from medjax.models.restoration import (
    CNCL,
    AttentionDenoiser,
    BackboneUNet,
    CVMIDNet,
    Eformer,
    SpachTransformer,
    SRDenseNet,
    StruNet,
    VectorialVariationFilter,
)
from medjax.physics.fourier import Fourier
from medjax.physics.mri.coils import Coils, birdcage
from medjax.physics.mri.sampling import Sampling
from medjax.physics.operator import LinearOperator

# Threefry takes XLA on CPU a second a parameter to compile.
KEY = jax.random.key(0, impl="philox2x32")


@struct
class Mixing(LinearOperator):
    """A real operator whose measurements lie on another grid: each row by a matrix."""

    matrix: jax.Array

    def forward(self, x):
        return jnp.matmul(x, self.matrix.T)

    def adjoint(self, y):
        return jnp.matmul(y, self.matrix)


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def image(*shape):
    return jnp.asarray(normal(0, *shape))


def channels(*shape):
    return (image(*shape, 2),)


def phantom(*shape):
    """Complex images; the second half of a batch is the first, half as bright."""
    x = normal(1, *shape) + 1j * normal(2, *shape)
    half = shape[0] // 2
    x[half : 2 * half] = 0.5 * x[:half]
    return jnp.asarray(x, jnp.complex64)


def scan(*shape):
    """Every other line of k-space, and the operator that measured it.

    Lines have weights, so that the zero-filled image does not explain them yet, and the
    first of data consistency's steps has something to do.
    """
    line = jnp.arange(shape[-1])
    weights = jnp.where(line % 2 == 0, 1 + 0.1 * line.astype(jnp.float32), 0)
    operator = Sampling(weights) @ Fourier(len(shape) - 1)
    return operator(phantom(*shape)), operator


def coil_scan(*shape):
    """The same by two coils, and the operator of coil images."""
    operator = scan(*shape)[1]
    coils = Coils(birdcage(2, shape[1:]), len(shape) - 1)
    return operator(coils(phantom(*shape))), operator


def mixed(*shape):
    """Measurements of real images, with 2 samples fewer a row, in units of a thousand."""
    operator = Mixing(jnp.asarray(1e3 * normal(3, shape[-1] - 2, shape[-1])))
    return operator(jnp.real(phantom(*shape))), operator


def noised(*shape):
    """A noisy image, the times of its levels, an image to go by and classes."""
    number = np.arange(shape[0])
    time, label = jnp.asarray(number / 4, jnp.float32), jnp.asarray(number % 3, jnp.int32)
    return image(*shape, 1), time, image(*shape, 2), label


def told(*shape):
    """An image and its task."""
    return image(*shape, 2), jnp.asarray(np.arange(shape[0]) % 3, jnp.int32)


def chain(dtype):
    return DnCNN(4, 3, residual=False, dtype=dtype)


def mobile(dtype):
    """A backbone with maps of two sizes."""
    blocks = (Inverted(3, 4, 4, 1, "silu", 2), Inverted(3, 8, 8, 2, "silu", 2))
    options = {"norm": "none", "attention": "none", "dtype": dtype}
    return EfficientNet(0, blocks, stem=4, last=8, **options)


# name: (module for a dtype, inputs of a batch and spatial shape, output's trailing axes)
CASES = {
    "unet": (lambda d: UNet(3, (4, 8), dtype=d), channels, (3,)),
    "dncnn": (lambda d: DnCNN(4, 3, dtype=d), channels, (2,)),
    "attention_denoiser": (lambda d: AttentionDenoiser((4, 8), 3, 4, dtype=d), told, (2,)),
    "cvmidnet": (lambda d: CVMIDNet(4, 3, dtype=d), channels, (2,)),
    "srdensenet": (lambda d: SRDenseNet(2, 2, 2, 4, dtype=d), channels, (2,)),
    "cncl": (lambda d: CNCL(chain(d), chain(d), both=True), channels, (4,)),
    "spach_transformer": (
        lambda d: SpachTransformer(4, (0, 1), (1, 2), 1, (1,), (2,), 2, 0, 0.0, d),
        channels,
        (2,),
    ),
    "eformer": (lambda d: Eformer((4, 8), (0, 1), (1, 2), 2, 4, 2, dtype=d), channels, (2,)),
    "strunet": (lambda d: StruNet((4, 8), (0, 1), (1, 2), 2, 2, dtype=d), channels, (2,)),
    "vectorial_variation": (lambda d: VectorialVariationFilter(chain(d), 4), channels, (2,)),
    "backbone_unet": (
        lambda d: BackboneUNet(3, mobile(d), (8, 4), 4, dtype=d),
        channels,
        (3,),
    ),
    "postprocess": (lambda d: Postprocess(chain(d)), scan, ()),
    "modl": (lambda d: MoDL(chain(d), cascades=1, solver_steps=4), scan, ()),
    "deep_cascade": (lambda d: DeepCascade(chain(d), cascades=1, solver_steps=2), scan, ()),
    "varnet": (
        lambda d: VarNet(chain(d), Sensitivities(chain(d), calibration=3), cascades=1),
        coil_scan,
        (),
    ),
    "kiki_net": (
        lambda d: KIKINet(chain(d), chain(d), iterations=1, solver_steps=2),
        scan,
        (),
    ),
    "rim": (lambda d: RIM(4, steps=2, dtype=d), scan, ()),
    "ista_net": (lambda d: ISTANet(1, 4, dtype=d), scan, ()),
    "wista": (lambda d: WISTA(1, levels=1), scan, ()),
    "wista_net": (lambda d: WISTANet(1, 4, dtype=d), scan, ()),
    "learned_primal_dual": (
        lambda d: LearnedPrimalDual(1, 4, primal=2, dual=1, dtype=d),
        scan,
        (),
    ),
    "deep_equilibrium": (lambda d: DeepEquilibrium(chain(d), steps=8, memory=2), scan, ()),
    "automap": (lambda d: AUTOMAP(4, dtype=d), scan, ()),
    "autoencoder": (lambda d: Autoencoder(2, 3, (4, 8), groups=2, dtype=d), channels, (2,)),
    "ddpm_unet": (
        lambda d: DiffusionUNet(1, (4, 8), 1, (), 3, groups=2, dtype=d),
        noised,
        (1,),
    ),
    "swin_denoiser": (
        lambda d: SwinDenoiser(1, 8, 1, 2, window=2, classes=3, dtype=d),
        noised,
        (1,),
    ),
}
# Take images; the others measurements and their operator.
IMAGES = (
    "unet",
    "dncnn",
    "attention_denoiser",
    "cvmidnet",
    "srdensenet",
    "cncl",
    "spach_transformer",
    "eformer",
    "strunet",
    "vectorial_variation",
    "backbone_unet",
    "autoencoder",
    "ddpm_unet",
    "swin_denoiser",
)
COMPLEX = ("varnet",)  # is about coils, so that there is no real case of it
# Have no network, or call the one that they are given as modl does.
WITHOUT_DTYPE = ("wista", "postprocess", "deep_cascade", "kiki_net", "deep_equilibrium")


def compiled(function, *arguments):
    return jax.jit(function).lower(*arguments).compile()


@functools.cache
def initialised(name):
    make, inputs, _ = CASES[name]
    module, batch = make(jnp.float32), inputs(8, 8, 8)
    return module, batch, compiled(module.init, KEY, *batch)(KEY, *batch)


@functools.cache
def stepped(name):
    """One step on one device: the function, its gradients and the output."""
    module, batch, variables = initialised(name)

    def step(variables, *batch):
        def loss(params):
            y = module.apply({**variables, "params": params}, *batch, train=True)
            return jnp.mean(jnp.abs(y - 1) ** 2), y

        return jax.grad(loss, has_aux=True)(variables["params"])

    return step, compiled(step, variables, *batch)(variables, *batch)


# From images to vectors: their laws are in test_vit, test_swin and classifiers/test_laws.
BACKBONES = {
    "vit",
    "swin",
    "resnet",
    "densenet",
    "efficientnet",
    "mobilenet",
    "vgg",
    "alexnet",
    "googlenet",
    "convnext",
}


# Of adversarial learning: their laws are in generative/test_adversarial.
ADVERSARIAL = {
    "dcgan_generator",
    "dcgan_discriminator",
    "patchgan",
    "translation_resnet",
    "stylegan2_generator",
    "stylegan2_discriminator",
}

# Their codes are drawn or of a codebook: their laws are in generative/test_autoencoders.
AUTOENCODERS = {"stacked_autoencoder", "vae", "gmvae", "vqvae"}

# Make images larger or smaller: their laws are in restoration/test_super_resolution.
SUPER_RESOLUTION = {
    "srcnn",
    "edsr",
    "rrdb_net",
    "rirgan",
    "medsrgan",
    "three_stage_sr",
    "mirn",
    "fuzzy_attention_sr",
    "pyramidal_distillation",
    "texture_transformer",
    "wavelet_sr",
    "sg_srnet",
    "liif",
    "nexpr",
    "mamba_ir",
    "degrader",
    "pair_discriminator",
}


def test_every_registered_model_obeys_the_laws():
    elsewhere = BACKBONES | ADVERSARIAL | AUTOENCODERS | SUPER_RESOLUTION
    assert set(CASES) | elsewhere == set(MODELS)
    for name in MODELS:
        assert MODELS.summary(name)


@pytest.mark.parametrize("spatial", [(9, 12), (5, 7, 6)])
@pytest.mark.parametrize("name", CASES)
def test_one_class_serves_two_and_three_dimensions_of_any_size(name, spatial):
    make, inputs, trailing = CASES[name]
    module, batch = make(jnp.float32), inputs(2, *spatial)
    output, _ = jax.eval_shape(module.init_with_output, KEY, *batch)
    assert output.shape == (2, *spatial, *trailing)
    assert output.dtype == batch[0].dtype


@pytest.mark.parametrize("name", [n for n in CASES if n not in IMAGES + COMPLEX])
def test_one_class_serves_real_and_complex_operators(name):
    for spatial in [(8, 9), (4, 6, 8)]:
        y, operator = mixed(2, *spatial)
        module = CASES[name][0](jnp.float32)
        variables = jax.eval_shape(module.init, KEY, y, operator)
        output = jax.eval_shape(module.apply, variables, y, operator)
        assert (output.shape, output.dtype) == ((2, *spatial), jnp.float32)


@pytest.mark.parametrize("name", CASES)
def test_one_step_is_finite_reaches_every_parameter_and_is_the_same_on_eight_devices(name):
    _, batch, variables = initialised(name)
    step, (gradients, output) = stepped(name)
    for path, leaf in named_leaves((gradients, output)):
        assert np.isfinite(leaf).all(), path
    for path, leaf in named_leaves(gradients):
        assert np.abs(leaf).max() > 1e-6, path

    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    everywhere = NamedSharding(mesh, PartitionSpec())
    split = NamedSharding(mesh, PartitionSpec("data"))
    placed = [jax.device_put(x, split if i == 0 else everywhere) for i, x in enumerate(batch)]
    placed = (jax.device_put(variables, everywhere), *placed)
    program = compiled(step, *placed)
    assert "all-gather" not in program.as_text()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        program(*placed),
        (gradients, output),
    )


@pytest.mark.parametrize("name", [n for n in CASES if n not in IMAGES])
def test_the_reconstruction_follows_the_scale_of_the_measurements(name):
    _, (_, output) = stepped(name)
    np.testing.assert_allclose(output[4:], 0.5 * output[:4], atol=2e-5 * np.abs(output).max())


@pytest.mark.parametrize("name", [n for n in CASES if n not in WITHOUT_DTYPE])
def test_computing_in_bfloat16_keeps_parameters_and_outputs_at_full_precision(name):
    _, batch, variables = initialised(name)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(variables)} == {"float32"}
    apply = CASES[name][0](jnp.bfloat16).apply
    output = compiled(apply, variables, *batch)(variables, *batch)
    assert output.dtype == batch[0].dtype
    expected = stepped(name)[1][1]
    difference = float(jnp.linalg.norm(output - expected) / jnp.linalg.norm(expected))
    assert 0 < difference < 0.05
