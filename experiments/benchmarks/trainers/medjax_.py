"""medjax: learners as they are, jitted with the state donated, as the training loop does."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from medjax.learners.adversarial import cyclegan, stylegan2
from medjax.learners.diffusion import ddpm
from medjax.models.generative import (
    DiffusionUNet,
    PatchGAN,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
    TranslationResNet,
)
from medjax.training import on_all_cores
from trainers import Run

VERSION = f"medjax (jax {jax.__version__})"
WAYS = {work: ["jit"] for work in ("ddpm", "stylegan2", "cyclegan")}


def images(s, seed=0):
    shape = (s["batch"], s["size"], s["size"], 1)
    return jnp.asarray(np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32))


def diffusion(s):
    network = DiffusionUNet(
        1,
        tuple(s["features"]),
        s["blocks"],
        tuple(s["attention"]),
        head_channels=s["head"],
        groups=s["groups"],
    )
    return ddpm(network, optax.adam(s["rate"])), {"image": images(s)}


def style(s):
    def adam(every):
        c = every / (every + 1)
        return optax.adam(s["rate"] * c, b1=0.0, b2=0.99**c)

    size = (s["size"],) * 2
    generator = StyleGAN2Generator(size, 1, tuple(s["features"]), s["layers"], s["width"])
    learner = stylegan2(
        generator,
        StyleGAN2Discriminator(tuple(reversed(s["features"]))),
        adam(s["path_every"]),
        adam(s["penalty_every"]),
        gamma=s["gamma"],
        penalty_every=s["penalty_every"],
        path_every=s["path_every"],
        latent=s["width"],
    )
    return learner, {"image": images(s)}


def cycle(s):
    learner = cyclegan(
        TranslationResNet(1, tuple(s["features"]), s["blocks"]),
        PatchGAN(tuple(s["judge"]), norm="instance"),
        *(optax.adam(s["rate"], b1=0.5) for _ in range(2)),
        pool=s["pool"],
    )
    return learner, {"first": images(s), "second": images(s, 1)}


MAKERS = {"ddpm": diffusion, "stylegan2": style, "cyclegan": cycle}


def prepare(work, way, settings):
    learner, batch = MAKERS[work](settings)
    batch["index"] = jnp.arange(settings["batch"], dtype=jnp.int32)
    keys = (jax.random.key(number) for number in itertools.count())
    state = jax.jit(learner.init)(jax.random.key(0, impl="rbg"), batch)  # which compiles faster
    params = state.params if "discriminator" in state.params else {"network": state.params}
    counts = {name: sum(x.size for x in jax.tree.leaves(part)) for name, part in params.items()}
    options = on_all_cores(jax.default_backend())
    step = jax.jit(learner.step, donate_argnums=0, compiler_options=options)
    step = step.lower(state, batch, next(keys)).compile()

    def run(number):
        nonlocal state
        state = state.replace(step=jnp.int32(number))
        state, scalars = step(state, batch, next(keys))
        jax.block_until_ready((state, scalars))

    return Run(run, counts, step.cost_analysis()["flops"])
