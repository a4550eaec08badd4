"""What each method makes of its views: pairs, pieces, masks, regions, sentences; 2D and 3D."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from learners.learner_cases.contrastive import HEAD, PROTOTYPES, Tiny

from medjax.augment.views import LARGE
from medjax.core.errors import InputError
from medjax.core.trees import named_leaves
from medjax.learners import contrastive
from medjax.learners.contrastive.convirt import sentence
from medjax.learners.contrastive.masks import random_mask
from medjax.learners.contrastive.passes import passes
from medjax.learners.contrastive.patients import partners
from medjax.learners.contrastive.pretrain import spread
from medjax.models.vit import ViT

KEY = jax.random.key(0, impl="philox2x32")
SGD = optax.sgd(0.1)


def volumes(*names, size=8):
    entries = {name: jnp.zeros((4, size, size, size, 1)) for name in names}
    return {**entries, "index": jnp.arange(4, dtype=jnp.int32)}


def vit(**options):
    return ViT(width=12, depth=1, heads=2, patch=4, image_size=8, **options)


def heads(*names):
    return dict.fromkeys(names, HEAD)


PAIR = ("first", "second")
TEXT = {"text": jnp.ones((4, 5), jnp.int32)}
VOLUMES = {
    "simclr": (lambda: contrastive.simclr(Tiny(), SGD, **heads("projector")), PAIR, {}),
    "supcon": (
        lambda: contrastive.supcon(Tiny(), SGD, **heads("projector")),
        PAIR,
        {"label": jnp.zeros(4, jnp.int32)},
    ),
    "moco_v1": (lambda: contrastive.moco_v1(Tiny(), SGD, queue=6), PAIR, {}),
    "moco_v2": (lambda: contrastive.moco_v2(Tiny(), SGD, queue=6), PAIR, {}),
    "moco_v3": (
        lambda: contrastive.moco_v3(Tiny(), SGD, **heads("projector", "predictor")),
        PAIR,
        {},
    ),
    "byol": (lambda: contrastive.byol(Tiny(), SGD, **heads("projector", "predictor")), PAIR, {}),
    "dino": (
        lambda: contrastive.dino(Tiny(), SGD, projector=PROTOTYPES, small=()),
        LARGE,
        {"small": volumes("image", size=4)["image"]},
    ),
    "dinov2": (
        lambda: contrastive.dinov2(
            vit(mask_token=True),
            SGD,
            projector=PROTOTYPES,
            patch_projector=PROTOTYPES,
            small=("small",),
        ),
        LARGE,
        {"small": volumes("image", size=4)["image"]},
    ),
    "pirl": (
        lambda: contrastive.pirl(Tiny(), SGD, samples=9, negatives=5, dim=4),
        ("view",),
        {"pieces": jnp.zeros((4, 8, 4, 4, 4, 1))},
    ),
    "local_global": (
        lambda: contrastive.local_global(
            Tiny(), SGD, **heads("projector", "local_projector"), partition="part"
        ),
        PAIR,
        {"part": jnp.zeros(4, jnp.int32)},
    ),
    "convirt": (
        lambda: contrastive.convirt(
            Tiny(), contrastive.TextEncoder(9, width=8, depth=1, heads=2), SGD
        ),
        ("view",),
        TEXT,
    ),
}


@pytest.mark.parametrize("name", VOLUMES)
def test_a_step_of_volumes_keeps_the_state_as_it_is(name):
    make, views, more = VOLUMES[name]
    learner, batch = make(), {**volumes("image", *views), **more}
    state = jax.eval_shape(learner.init, KEY, batch)
    after, scalars = jax.eval_shape(learner.step, state, batch, KEY)
    before, after = ([(n, x.shape, x.dtype) for n, x in named_leaves(t)] for t in (state, after))
    assert after == before
    assert {"loss", "gradient_norm", "spread"} <= set(scalars)
    assert {(x.shape, x.dtype.name) for x in scalars.values()} == {((), "float32")}
    features = jax.eval_shape(learner.predict, state, batch)
    assert features.shape[0] == 4
    assert features.ndim == 2


def test_one_head_given_twice_is_two_heads():
    learner = contrastive.byol(Tiny(), SGD, projector=HEAD, predictor=HEAD)
    batch = volumes("first", "second")
    params = jax.eval_shape(learner.init, KEY, batch).params
    assert {"encoder", "projector", "predictor"} == set(params)


def test_passes_gives_each_view_its_own_output():
    def mean(x, scale=None, train=False):
        return x.mean((1, 2)) * (1 if scale is None else scale)

    class Apply:
        @staticmethod
        def apply(variables, *arguments, train, method, mutable, rngs):
            assert rngs["dropout"] is not None
            return mean(*arguments), {"counts": variables["counts"] + 1}

    rng = np.random.default_rng(0)
    shapes = [(3, 4, 4), (3, 2, 2), (3, 4, 4), (3, 4, 4)]
    views = [jnp.asarray(rng.random(shape), jnp.float32) for shape in shapes]
    views[3] = (views[3], jnp.asarray([1.0, 2.0, 3.0]))
    outputs, after = passes(Apply, {}, {"counts": jnp.zeros(())}, views, KEY)
    assert after["counts"] == 3  # two views of one kind are one pass
    for view, output in zip(views[:3], outputs, strict=False):
        np.testing.assert_allclose(output, view.mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(outputs[3], mean(*views[3]), rtol=1e-5)


def test_partners_agree_and_differ_as_asked_and_are_others_where_there_are():
    side = jnp.asarray([0, 1, 0, 0, 1, 0])
    study = jnp.asarray([5, 5, 5, 6, 6, 5])
    keys = jax.random.split(KEY, 200)
    draw = jax.jit(jax.vmap(lambda key, count: partners(key, count, 6, [side], [study]), (0, None)))
    first, second = map(np.asarray, draw(keys, 5))
    assert set(first) == set(range(5))  # the sixth place is empty
    found = {i: set(second[first == i]) for i in range(5)}
    assert found == {0: {3}, 1: {4}, 2: {3}, 3: {0, 2}, 4: {1}}
    first, second = map(np.asarray, draw(keys, 2))
    np.testing.assert_array_equal(first, second)  # sides differ: nobody else


def test_a_pair_is_of_images_of_one_patient():
    images = jnp.arange(4 * 3 * 2 * 2, dtype=jnp.float32).reshape(4, 3, 2, 2)
    batch = {"images": images, "count": jnp.asarray([3, 3, 3, 1]), "index": jnp.arange(4)}
    batch["image"] = images[:, 0]
    out = jax.jit(contrastive.patient_pair(lambda key, batch: batch))(KEY, batch)
    np.testing.assert_array_equal(out["image"], batch["image"])
    for sample in range(4):
        numbers = [
            int(np.argmax((images[sample] == out[name][sample][None]).all((1, 2))))
            for name in ("first", "second")
        ]
        assert (numbers[0] == numbers[1]) == (sample == 3)


def test_jigsaw_shuffles_all_pieces():
    x = jnp.arange(2 * 6 * 9 * 2, dtype=jnp.float32).reshape(2, 6, 9, 2)
    out = jax.jit(contrastive.jigsaw(3))(KEY, {"view": x, "index": jnp.arange(2)})["pieces"]
    assert out.shape == (2, 9, 2, 3, 2)
    for image, pieces in zip(np.asarray(x), np.asarray(out), strict=True):
        expected = image.reshape(3, 2, 3, 3, 2).swapaxes(1, 2).reshape(9, -1)
        found = pieces.reshape(9, -1)
        assert not np.array_equal(found, expected)
        np.testing.assert_array_equal(found[np.argsort(found[:, 0])], expected)
    volume = {"view": jnp.zeros((2, 7, 8, 9)), "index": jnp.arange(2)}
    pieces = jax.eval_shape(contrastive.jigsaw(2, margin=1, ndim=3), KEY, volume)["pieces"]
    assert pieces.shape == (2, 8, 2, 3, 3)
    with pytest.raises(InputError, match="view: expected sizes above 11"):
        contrastive.jigsaw(3, margin=3)(KEY, {"view": x, "index": jnp.arange(2)})
    with pytest.raises(InputError, match="grid: expected at least 2"):
        contrastive.jigsaw(1)


@pytest.mark.parametrize("grid", [(8, 6), (4, 4, 4)])
def test_masks_have_the_parts_that_were_asked_for(grid):
    draw = jax.jit(
        jax.vmap(lambda k: random_mask(k, grid=grid, masked=(0.2, 0.4), probability=0.5))
    )
    masks = draw(jax.random.split(KEY, 200))
    count, patches = np.asarray(masks.mask.sum(1)), np.prod(grid)
    masked = count > 0
    assert 0.35 < masked.mean() < 0.65
    assert count[masked].min() >= np.floor(0.2 * patches)
    assert count.max() <= np.ceil(0.4 * patches) == masks.places.shape[1]
    assert len(set(count)) > 5
    for mask, places, valid in zip(*map(np.asarray, masks), strict=True):
        assert set(np.flatnonzero(mask)) == set(places[valid])
    # Neighbours of masked patches are masked more often than patches are.
    whole = np.asarray(masks.mask[masked]).reshape(-1, *grid)
    beside = whole[:, 1:][whole[:, :-1]].mean()
    assert beside > 1.5 * whole.mean()


def test_dinov2_asks_for_an_encoder_that_masks():
    with pytest.raises(InputError, match="encoder: expected one with embed"):
        contrastive.dinov2(Tiny(), SGD)
    with pytest.raises(InputError, match="masked: expected least and largest part"):
        contrastive.dinov2(vit(mask_token=True), SGD, masked=(0.5, 0.1))
    learner = contrastive.dinov2(vit(), SGD, projector=PROTOTYPES, small=())
    with pytest.raises(InputError, match="mask_token=True"):
        jax.eval_shape(learner.init, KEY, volumes(*LARGE))


def test_regions_that_do_not_fit_are_refused():
    learner = contrastive.local_global(Tiny(), SGD, region=8)
    batch = volumes("first", "second")
    state = jax.eval_shape(learner.init, KEY, batch)
    with pytest.raises(InputError, match="region: expected one that is in"):
        jax.eval_shape(learner.step, state, batch, KEY)


def test_a_sentence_is_one_that_is_there():
    text = jnp.asarray([[[1, 2], [0, 0], [3, 0]], [[0, 0], [4, 4], [0, 0]]], jnp.int32)
    draw = jax.jit(lambda key: sentence(key, {"text": text, "index": jnp.arange(2)}, "text"))
    drawn = np.stack([draw(key) for key in jax.random.split(KEY, 20)])
    assert {tuple(x) for x in drawn[:, 0]} == {(1, 2), (3, 0)}
    assert {tuple(x) for x in drawn[:, 1]} == {(4, 4)}


def test_a_texts_padding_changes_nothing():
    encoder = contrastive.TextEncoder(9, width=8, depth=1, heads=2)
    tokens = jnp.asarray([[1, 2, 3, 0], [4, 0, 0, 0], [0, 0, 0, 0]], jnp.int32)
    variables = jax.jit(encoder.init)(KEY, tokens)
    apply = jax.jit(encoder.apply)
    out = apply(variables, tokens)
    longer = apply(variables, jnp.pad(tokens, ((0, 0), (0, 3))))
    np.testing.assert_allclose(longer, out, atol=1e-5)
    assert not out[2].any()
    turned = apply(variables, tokens[:, jnp.asarray([1, 0, 2, 3])])
    assert np.abs(turned[0] - out[0]).max() > 1e-3  # words have places


def test_spread_tells_collapse_from_an_even_sphere():
    assert spread(jnp.ones((8, 4))) < 1e-6
    assert 0.9 < spread(jax.random.normal(KEY, (500, 16))) < 1.1
