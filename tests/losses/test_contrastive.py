"""Contrastive and distilling losses: other libraries' values, the plain forms, memory, devices."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from medjax.core.errors import InputError
from medjax.losses import contrastive, distillation, pairs

REFERENCE = dict(np.load(Path(__file__).parents[1] / "reference" / "contrastive.npz"))
DINO_PAIRS = [(i, j) for i in range(2) for j in range(4) if i != j]


def supcon(first, second):
    labels = jnp.asarray(np.tile(REFERENCE["labels"], 2), jnp.int32)
    both = jnp.concatenate([first, second])
    return contrastive.supervised_contrastive(both, labels, temperature=0.2)


def dino(student):
    targets = distillation.centred_softmax(*(jnp.asarray(REFERENCE[n]) for n in TEACHER), 0.05)
    terms = [distillation.distillation(student[j], targets[i]) for i, j in DINO_PAIRS]
    return jnp.stack(terms)


def ibot(patches):
    seen, mask = jnp.asarray(REFERENCE["seen"]), jnp.asarray(REFERENCE["mask"])
    target = distillation.centred_softmax(seen, jnp.zeros(7), 0.05)
    return distillation.masked_distillation(patches, target, mask)


TEACHER, PAIR = ("teacher", "centre"), ("first", "second")
# name: (loss, arguments that have a gradient, arguments that have none)
CASES = {
    "nt_xent": (lambda a, b: contrastive.nt_xent(a, b, temperature=0.2), PAIR, ()),
    "nt_xent_lightly": (lambda a, b: contrastive.nt_xent(a, b, temperature=0.2), PAIR, ()),
    "supcon": (supcon, PAIR, ()),
    "moco": (
        lambda a, *rest: contrastive.queue_nce(a, *rest, temperature=0.2),
        ("first",),
        ("second", "queue"),
    ),
    "byol": (distillation.cosine_regression, ("first",), ("second",)),
    "koleo": (distillation.koleo, ("first",), ()),
    "dino": (dino, ("student",), ()),
    "ibot": (ibot, ("patches",), ()),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_other_libraries(name):
    loss, wrt, rest = CASES[name]
    with jax.enable_x64(True):
        inputs = [jnp.asarray(REFERENCE[x]) for x in (*wrt, *rest)]

        def mean(*inputs):
            return jnp.mean(loss(*inputs))

        value, gradients = jax.jit(jax.value_and_grad(mean, tuple(range(len(inputs)))))(*inputs)
        np.testing.assert_allclose(value, REFERENCE[name], rtol=2e-6)
        for number, gradient in enumerate(gradients):
            if number < len(wrt):
                expected = REFERENCE[f"{name}_gradient{number}"]
                np.testing.assert_allclose(gradient, expected, rtol=2e-6, atol=1e-7)
            else:
                assert not gradient.any()  # nothing flows into keys, queues and targets


sinkhorn = jax.jit(distillation.sinkhorn_knopp, static_argnames=("temperature", "iterations"))


def test_sinkhorn_is_that_of_another_library_and_overflows_at_no_temperature():
    with jax.enable_x64(True):
        logits = jnp.asarray(REFERENCE["teacher"][0])
        got = sinkhorn(logits, 0.5)
        np.testing.assert_allclose(got, REFERENCE["sinkhorn"], rtol=1e-9)
    cold = sinkhorn(jnp.asarray(logits, jnp.float32) * 100, 0.01)
    np.testing.assert_allclose(cold.sum(-1), 1, rtol=1e-5)


def test_sinkhorn_uses_all_prototypes_and_what_takes_no_part_changes_nothing():
    rng = np.random.default_rng(0)
    logits = jnp.asarray(rng.standard_normal((2, 20, 5)) + [0, 0, 0, 0, 4], jnp.float32)
    q = sinkhorn(logits, 0.5, iterations=30)
    np.testing.assert_allclose(q.sum((0, 1)), 40 / 5, rtol=1e-3)
    mask = jnp.asarray(rng.random((2, 20)) < 0.6)
    some = sinkhorn(logits, 0.5, mask=mask)
    alone = sinkhorn(logits[mask], 0.5)
    np.testing.assert_allclose(some[mask], alone, rtol=1e-5)
    assert not some[~mask].any()


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def plain_nt_xent(first, second, temperature):
    """All similarities at once."""
    n = first.shape[0]
    z = pairs.unit(jnp.concatenate([first, second]))
    s = jnp.where(jnp.eye(2 * n, dtype=bool), -jnp.inf, z @ z.T / temperature)
    own = jnp.concatenate([jnp.diagonal(s, n), jnp.diagonal(s, -n)])
    values = jax.nn.logsumexp(s, 1) - own
    return (values[:n] + values[n:]) / 2


def both_forms(rng, n, dim, **options):
    pair = [jnp.asarray(rng.standard_normal((n, dim))) for _ in range(2)]
    weight = jnp.asarray(rng.standard_normal(n))  # of each sample, so that no error can cancel

    def of(loss, **options):
        def total(*pair):
            values = loss(*pair, temperature=0.1, **options)
            return jnp.sum(weight * values), values

        return jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))(*pair)

    return of(contrastive.nt_xent, **options), of(plain_nt_xent)


@pytest.mark.parametrize("block", [1, 8, 74, 1024])
def test_blocks_change_neither_values_nor_gradients(block):
    with jax.enable_x64(True):
        got, expected = both_forms(np.random.default_rng(0), 37, 5, block=block)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12), got, expected
        )


def test_memory_grows_with_the_batch_and_not_with_its_square():
    def temporary(loss, n):
        shape = jax.ShapeDtypeStruct((n, 16), jnp.float32)
        step = jax.jit(jax.value_and_grad(lambda a, b: jnp.mean(loss(a, b)), (0, 1)))
        return step.lower(shape, shape).compile().memory_analysis().temp_size_in_bytes

    def blocks(a, b):
        return contrastive.nt_xent(a, b, block=128)

    small, large = (temporary(blocks, n) for n in (512, 2048))
    assert large < 4.5 * small
    plain = temporary(lambda a, b: plain_nt_xent(a, b, 0.5), 2048)
    assert large < plain / 8
    koleo = [temporary(lambda a, b: distillation.koleo(a + b, block=128), n) for n in (512, 2048)]
    assert koleo[1] < 4.5 * koleo[0]


def test_a_batch_over_eight_devices_is_one_batch():
    rng = np.random.default_rng(0)
    pair = [jnp.asarray(rng.standard_normal((32, 8)), jnp.float32) for _ in range(2)]

    def total(a, b):
        values = contrastive.nt_xent(a, b, block=16) + distillation.koleo(a, block=16)
        return jnp.mean(values), values

    step = jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data"))
    got = step(*(jax.device_put(x, split) for x in pair))
    assert got[1][0].sharding.is_equivalent_to(split, 2)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), got, step(*pair)
    )


def test_what_has_no_positive_costs_nothing_and_all_gradients_are_finite():
    x = jnp.asarray(np.random.default_rng(0).standard_normal((4, 3)), jnp.float32)
    labels = jnp.asarray([0, 0, 1, 2])
    supervised = jax.jit(contrastive.supervised_contrastive)
    values = supervised(x, labels)
    assert (values[:2] > 0).all()
    assert not values[2:].any()
    lone = jax.grad(lambda x: supervised(x, jnp.arange(1)).sum())
    assert not lone(x[:1]).any()
    equal = jnp.ones((4, 3)).at[0].set(0)  # a vector of zeros, and three alike
    for loss in (
        lambda x: contrastive.nt_xent(x, x),
        distillation.koleo,
        lambda x: distillation.cosine_regression(x, equal),
        lambda x: contrastive.pirl_nce(equal, x, equal),
    ):
        value, gradient = jax.jit(jax.value_and_grad(lambda x, loss=loss: loss(x).sum()))(equal)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


def test_bfloat16_features_are_compared_in_float32():
    x = jnp.asarray(np.random.default_rng(0).standard_normal((2, 6, 4)), jnp.bfloat16)
    values = jax.jit(contrastive.nt_xent)(x[0], x[1])
    assert values.dtype == jnp.float32
    wide = jax.jit(contrastive.nt_xent)(*x.astype(jnp.float32))
    np.testing.assert_allclose(values, wide, rtol=1e-5)


def test_image_text_weighs_both_directions():
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((5, 4)).astype(np.float32) for _ in range(2))
    s = unit(a) @ unit(b).T / 0.1
    forth = np.log(np.exp(s).sum(1)) - np.diag(s)
    back = np.log(np.exp(s).sum(0)) - np.diag(s)
    got = contrastive.image_text(jnp.asarray(a), jnp.asarray(b), weight=0.75)
    np.testing.assert_allclose(got, 0.75 * forth + 0.25 * back, rtol=1e-4)


def test_local_contrast_is_within_an_image():
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((3, 4, 5)).astype(np.float32) for _ in range(2))
    s = np.einsum("brc,bsc->brs", unit(a), unit(b)) / 0.1
    own = np.einsum("brr->br", s)
    rows, columns = np.log(np.exp(s).sum(2)), np.log(np.exp(s).sum(1))
    got = contrastive.local_contrast(jnp.asarray(a), jnp.asarray(b))
    np.testing.assert_allclose(got, ((rows + columns) / 2 - own).mean(1), rtol=1e-4)


def test_pirl_follows_its_formula():
    rng = np.random.default_rng(0)
    memory, features, negatives = (rng.standard_normal((n, 4)) for n in (3, 3, 6))
    left_out = np.zeros((3, 6), bool)
    left_out[1, 2] = True
    own = np.exp((unit(memory) * unit(features)).sum(1) / 0.5)
    others = np.where(left_out, 0, np.exp(unit(features) @ unit(negatives).T / 0.5))
    total = own + others.sum(1)
    expected = -np.log(own / total) - np.log(1 - others / total[:, None]).sum(1)
    inputs = [jnp.asarray(x, jnp.float32) for x in (memory, features, negatives)]
    got = contrastive.pirl_nce(*inputs, temperature=0.5, left_out=jnp.asarray(left_out))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_wrong_arguments_are_refused():
    x = jnp.ones((2, 3))
    for call, one in ((contrastive.nt_xent, x), (contrastive.local_contrast, x[None])):
        with pytest.raises(InputError, match="temperature: expected a positive number, got 0"):
            call(one, one, temperature=0)
    with pytest.raises(InputError, match="keys: expected 2, one a query, or groups, got 3"):
        contrastive.info_nce(x, jnp.ones((3, 3)))
    with pytest.raises(InputError, match="at least two samples, got 1"):
        distillation.koleo(x[:1])
    with pytest.raises(InputError, match="iterations: expected at least 1"):
        distillation.sinkhorn_knopp(x, 0.1, iterations=0)
