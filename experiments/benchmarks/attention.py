"""Softmax attention and its gradients against `jax.nn.dot_product_attention`.

    python experiments/benchmarks/attention.py [--rounds 21]

Both by XLA's operations, float32, compiled as training steps are. Ways are timed in turn, and the
medians printed with the ratio of JAX's time to ours. Takes half a minute.
"""

import argparse
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from in_turn import medians

from medjax.layers.attention import attend
from medjax.training import on_all_cores

SHAPES = ((8, 256, 2, 64), (8, 64, 2, 64), (4, 196, 6, 64), (2, 513, 4, 32))
WAYS = {
    "jax": lambda q, k, v: jax.nn.dot_product_attention(q, k, v, implementation="xla"),
    "medjax": lambda q, k, v: attend(q, k, v, implementation="xla"),
}


def with_gradients(way):
    def function(query, key, value, ct):
        y, back = jax.vjp(way, query, key, value)
        return y, back(ct)

    return function


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=21)
    asked = parser.parse_args()
    options = on_all_cores(jax.default_backend())
    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}\n")
    print("| batch x tokens x heads x channels | jax, ms | medjax, ms | jax / medjax | differ by |")
    print("|---|--:|--:|--:|--:|")
    for shape in SHAPES:
        rng = np.random.default_rng(0)
        args = [jnp.asarray(rng.standard_normal(shape), jnp.float32) for _ in range(4)]
        compiled = {
            name: jax.jit(with_gradients(way), compiler_options=options)
            for name, way in WAYS.items()
        }
        results = [jax.tree.leaves(run(*args)) for run in compiled.values()]
        error = max(float(jnp.abs(a - b).max()) for a, b in zip(*results, strict=True))
        calls = {name: partial(run, *args) for name, run in compiled.items()}
        other, own = medians(calls, asked.rounds).values()
        size = " x ".join(map(str, shape))
        print(f"| {size} | {other:.2f} | {own:.2f} | {other / own:.1f} | {error:.0e} |", flush=True)


if __name__ == "__main__":
    main()
