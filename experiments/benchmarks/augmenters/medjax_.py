"""medjax: one jitted function of the batch."""

import jax
import jax.numpy as jnp

from medjax import augment

VERSION = f"medjax (jax {jax.__version__})"
WAYS = []
ENTRIES = {"image": augment.Image(channels="last"), "label": augment.Labels()}


def spatial(n):
    return augment.deform(
        rotation=15,
        zoom=0.1,
        translation=5,
        mirror=tuple(range(-n, 0)),
        elastic=0.3,
        intervals=6,
        entries=ENTRIES,
    )


def intensity():
    return augment.chain(
        augment.gamma(0.4, entries=ENTRIES),
        augment.brightness(0.1, spread=0.2, entries=ENTRIES),
        augment.contrast(0.25, entries=ENTRIES),
        augment.noise(0.1, entries=ENTRIES),
        augment.blur((0.5, 1.0), entries=ENTRIES),
        augment.bias_field(0.3, entries=ENTRIES),
    )


def prepare(kind, work, way, data):
    arrays = data(kind)
    batch = {
        "image": jnp.asarray(arrays["image"])[..., None],
        "label": jnp.asarray(arrays["label"]),
        "index": jnp.arange(len(arrays["image"])),
    }
    steps = {
        "spatial": [spatial(arrays["image"].ndim - 1)],
        "intensity": [intensity()],
        "both": [spatial(arrays["image"].ndim - 1), intensity()],
    }[work]
    transform, step = jax.jit(augment.chain(*steps)), 0

    def run():
        nonlocal step
        step += 1
        jax.block_until_ready(transform(jax.random.key(step), batch))
        return len(arrays["image"])

    return run
