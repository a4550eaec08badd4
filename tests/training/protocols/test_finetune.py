"""Fine-tuning: which layers learn how fast, what is transplanted, and that it learns."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.core.trees import named_leaves
from medjax.models.classifiers import ResNet
from medjax.models.vit import ViT
from medjax.training import protocols

VIT = functools.partial(
    ViT, width=8, depth=3, heads=2, patch=4, image_size=8, registers=1, mask_token=True
)
RESNET = functools.partial(
    ResNet,
    depths=(1, 1),
    block="basic",
    widths=(8, 8),
    stem=8,
    stem_kernel=3,
    stem_strides=1,
    stem_pool=False,
)
KEY = jax.random.key(0, impl="philox2x32")


def shapes(module):
    return jax.eval_shape(module.init, KEY, jnp.zeros((1, 8, 8, 1)))


def factors(module, layers, decay):
    params = jax.tree.map(lambda s: jnp.zeros(s.shape), shapes(module)["params"])
    return dict(named_leaves(protocols.layer_scales(params, layers, decay)))


def test_layers_of_a_vision_transformer_learn_faster_towards_the_head():
    found = factors(VIT(classes=2), protocols.VIT_LAYERS, 0.5)
    for path, scale in found.items():
        if path.startswith("encoder/"):
            np.testing.assert_allclose(scale.reshape(-1), [0.5**3, 0.5**2, 0.5])
        else:
            last = path.startswith(("norm", "head"))
            np.testing.assert_allclose(scale.reshape(-1), [1.0 if last else 0.5**4])
    assert any(p.startswith("encoder/") for p in found)
    assert any(p.startswith("mask_token") for p in found)


def test_layers_of_a_residual_network_are_its_stages():
    found = factors(RESNET(classes=2), protocols.RESNET_LAYERS, 0.5)
    for path, scale in found.items():
        first = path.partition("_")[0].partition("/")[0]
        wanted = {"stem": 5, "stage1": 4, "stage2": 3, "head": 0}[first]
        np.testing.assert_allclose(scale.reshape(-1), [0.5**wanted])


def test_a_parameter_in_no_layer_is_named():
    with pytest.raises(InputError, match=r"head/\w+: expected a parameter that is in one"):
        factors(RESNET(classes=2), protocols.RESNET_LAYERS[:-1], 0.5)
    with pytest.raises(InputError, match="layer_decay"):
        factors(RESNET(classes=2), protocols.RESNET_LAYERS, 0.0)


def test_all_but_the_head_is_transplanted():
    own = jax.tree.map(lambda s: jnp.zeros(s.shape), shapes(RESNET(classes=2)))
    other = jax.tree.map(lambda s: jnp.ones(s.shape), shapes(RESNET(classes=5)))
    for path, leaf in named_leaves(protocols.transplanted(own, other)):
        np.testing.assert_array_equal(leaf, 0 if "head" in path else 1)
    del other["params"]["stem"]
    with pytest.raises(InputError, match=r"pretrained params/stem/.*got no such parameter"):
        protocols.transplanted(own, other)
    with pytest.raises(InputError, match="pretrained batch_stats"):
        protocols.transplanted(own, {"params": own["params"]})


@functools.cache
def stripes(count, seed):
    """Stripes along one of two axes, at any phase, with noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    wave = np.sin(0.5 * np.pi * np.arange(8) + rng.uniform(0, 6, (count, 1)))
    image = np.broadcast_to(wave[:, None], (count, 8, 8))
    image = np.where(labels[:, None, None] == 1, image.transpose(0, 2, 1), image)
    image = image + 0.3 * rng.normal(size=image.shape)
    return protocols.Labelled(image[..., None].astype(np.float32), labels)


def tuned(**changes):
    fields = {
        "module": RESNET(classes=2),
        "layers": protocols.RESNET_LAYERS,
        "rates": (1e-2,),
        "steps": 25,
        "batch_size": 16,
    }
    return protocols.FineTuning(**{**fields, **changes})


def test_learns_from_random_and_from_pretrained_parameters_and_says_which():
    data = protocols.Sets(stripes(48, 0), stripes(16, 1), stripes(32, 2), 2)
    scratch = tuned(layer_decay=1.0)
    outcome = scratch(data)
    assert outcome.test["balanced_accuracy"] > 0.9
    assert "ResNet from random parameters" in str(outcome)
    assert "layer decay: 1" in str(outcome)

    variables = RESNET().init(KEY, jnp.zeros((1, 8, 8, 1)))
    # Without a step that counts, the prediction is the pretrained network's under a new head.
    still = tuned(pretrained=variables, rates=(0.0,), steps=1, layer_decay=1.0)
    assert "ResNet from pretrained parameters" in protocols.describe(still)
    classifier = still.fit(data.train, 2, {"rate": 0.0}, 0)
    first = classifier(data.test.inputs)
    start = tuned(rates=(0.0,), steps=1, layer_decay=1.0).fit(data.train, 2, {"rate": 0.0}, 0)
    assert np.abs(first - start(data.test.inputs)).max() > 1e-3
    assert all(not leaf.is_deleted() for leaf in jax.tree.leaves(variables))
