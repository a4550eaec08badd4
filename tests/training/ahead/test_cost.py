"""What a compiled program does, counted from its text."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from medjax.core.errors import InputError
from medjax.training import Placement
from medjax.training.ahead import step_cost, tpu_slice
from medjax.training.ahead.collectives import bandwidth, groups
from medjax.training.ahead.hlo import parse
from medjax.training.ahead.products import products
from medjax.training.hardware import CHIPS, chip_of

V5E = CHIPS["v5e"]
GRID = [(x, y, 0) for y in range(2) for x in range(4)]


def test_loops_count_as_often_as_they_run():
    mesh = Placement().mesh()
    rows, copied = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())

    def loss(stack, x):
        return jnp.sum(jax.lax.scan(lambda x, w: (jnp.sin(x @ w), None), x, stack)[0])

    step = jax.jit(
        jax.grad(loss),
        in_shardings=(copied, rows),
        out_shardings=copied,
    )
    stack, x = np.zeros((5, 32, 32), np.float32), np.zeros((16, 32), np.float32)
    cost = step_cost(step.lower(stack, x).compile().as_text(), V5E, (4, 2), GRID)
    assert cost.uncounted == 0
    # Two rows a device: forward, and backward to both factors, in each of five layers; what
    # goes back to the first layer's input is nobody's.
    product = 2 * 2 * 32 * 32
    assert 5 * 3 * product - product <= cost.flops <= 5 * 3 * product
    assert set(cost.collectives) == {"all-reduce"}
    # Each device sends the gradients' other seven eighths once to add and once to share.
    assert cost.collectives["all-reduce"].bytes == 2 * stack.nbytes * 7 // 8
    assert cost.collective_seconds == pytest.approx(2 * stack.nbytes * 7 / 8 / 100e9)
    assert cost.bound[1] == max(cost.compute_seconds, cost.memory_seconds, cost.collective_seconds)


CONVOLUTIONS = {
    "padded": {"strides": (1, 1), "padding": "SAME"},
    "strided": {"strides": (2, 2), "padding": "SAME"},
    "dilated": {"strides": (1, 1), "padding": "SAME", "lhs_dilation": (2, 3)},
    "spread": {"strides": (1, 1), "padding": "VALID", "rhs_dilation": (2, 2)},
    "grouped": {"strides": (1, 1), "padding": "SAME", "groups": 3},
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_costs_what_xla_says(name):
    how = dict(CONVOLUTIONS[name])
    strides, count = how.pop("strides"), how.pop("groups", 1)
    if how.get("lhs_dilation"):
        how["padding"] = [(1, 2), (2, 1)]
    convolve = functools.partial(
        jax.lax.conv_general_dilated,
        window_strides=strides,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=count,
        **how,
    )
    x, kernel = np.zeros((2, 9, 7, 6), np.float32), np.zeros((3, 3, 6 // count, 9), np.float32)
    lowered = jax.jit(convolve).lower(x, kernel)
    # The text of the program before XLA turns it into something else.
    text = lowered.compiler_ir("hlo").as_hlo_module().to_string()
    found = [
        products(computation, instruction)
        for computation, instruction, _, _ in parse(text).runs()
        if instruction.opcode == "convolution"
    ]
    assert found == [lowered.cost_analysis()["flops"]]


@pytest.mark.parametrize(
    ("text", "wanted"),
    {
        "replica_groups={{0,2},{1,3}}, x={{9,9}}": [[0, 2], [1, 3]],
        "replica_groups=[2,2]<=[4]": [[0, 1], [2, 3]],
        "replica_groups=[2,2]<=[2,2]T(1,0), y=1": [[0, 2], [1, 3]],
        "replica_groups=mesh['a'=2,'b'=2] {'a'}, z=2": [[0, 2], [1, 3]],
        "replica_groups=mesh['a'=2,'b'=2] {'a','b'}": [[0, 1, 2, 3]],
        "replica_groups={}": [[0, 1, 2, 3]],
    }.items(),
)
def test_groups_in_each_of_xlas_notations(text, wanted):
    assert groups(text, 4) == wanted


def test_links_that_a_group_can_use():
    def cells(*sizes):
        return np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), -1).reshape(-1, 2)

    assert bandwidth(V5E, (4, 4), cells(4, 4)) == 2 * 50e9  # a corner has two links
    assert bandwidth(V5E, (16, 16), cells(16, 16)) == 4 * 50e9  # a torus has no corners
    assert bandwidth(V5E, (16, 16), cells(16, 1)) == 2 * 50e9
    assert bandwidth(V5E, (16, 16), cells(4, 1)) == 50e9  # a part of a ring is a line
    assert CHIPS["v4"].rings((4, 4, 8)) == (True,) * 3
    assert CHIPS["v4"].rings((2, 4, 4)) == (False,) * 3
    assert bandwidth(CHIPS["H100"], (8, 1), cells(8, 1)) == 450e9


def test_other_chips_and_slices_are_refused():
    assert chip_of("TPU v5 lite") is V5E
    with pytest.raises(InputError, match=r"device: expected one of TPU v4, .*, got 'cpu'"):
        chip_of("cpu")
    for name in ("v5e", "v9:4x4", "H100:2x2", "v5e:4", "v5e:axb"):
        with pytest.raises(InputError, match="--topology: expected a TPU slice"):
            tpu_slice(name)
