"""Every config can be built, keeps its promise about its data, and takes a step's shape."""

import inspect
from pathlib import Path

import jax
import numpy as np
import pytest

from medjax import data, training
from medjax.cli.arguments import load_config
from medjax.core.trees import named_leaves

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.py"))


def small_store(folder):
    """Six subjects with two labels, for configs that have no data of their own."""
    rng, writer = np.random.default_rng(0), data.Writer(folder / "store")
    for number in range(6):
        label = np.zeros((20, 18, 16), np.uint8)
        label[4:12, 5:11, 3:9], label[12:15] = 3, 7
        image = (label + rng.normal(0, 0.3, label.shape)).astype(np.float32)
        entries = {"image": data.Image(image, np.eye(4)), "label": data.Image(label, np.eye(4))}
        writer.write(f"c{number}", entries, subject=f"s{number}")
    writer.finish()
    return str(folder / "store")


def tiles(folder):
    """Four pictures of three channels."""
    rng, writer = np.random.default_rng(0), data.Writer(folder / "tiles")
    for number in range(4):
        picture = rng.random((24, 24, 3), dtype=np.float32)
        image = data.Image(picture, np.eye(4), channels=("red", "green", "blue"))
        writer.write(f"c{number}", {"image": image}, subject=f"s{number}")
    writer.finish()
    return str(folder / "tiles")


NEEDED = {
    "segmentation": lambda folder: {
        "store": small_store(folder),
        "patch": (16, 16, 16),
        "features": (4, 8),
    },
    "pretrain_mae": lambda folder: {
        "store": small_store(folder),
        "size": "ti",
        "crop": (16, 16, 16),
        "patch": (8, 8, 8),
        "batch_size": 8,
    },
    "pretrain_dinov2": lambda folder: {
        "store": tiles(folder),
        "size": "ti",
        "tile": (16, 16),
        "batch_size": 8,
        "patch": 4,
        "large": 8,
        "small": 4,
        "small_count": 2,
        "prototypes": 16,
    },
    "generate_gan": lambda folder: {
        "store": tiles(folder),
        "size": (16, 16),
        "width": 4,
        "latent": 4,
        "batch_size": 4,
    },
    "generate_diffusion": lambda folder: {
        "store": small_store(folder),
        "size": (8, 8, 8),
        "features": (4, 8),
        "batch_size": 4,
    },
    "pretrain_simclr": lambda folder: {
        "store": tiles(folder),
        "size": "18",
        "tile": (16, 16),
        "view": (8, 8),
        "batch_size": 8,
    },
}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_a_config_is_consistent(path, tmp_path):
    function = load_config(path)
    experiment = function(**NEEDED.get(path.stem, lambda folder: {})(tmp_path))
    assert isinstance(experiment, training.Experiment)
    batch = next(iter(experiment.train(host=0, hosts=1)))
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
        k: (v.shape, v.dtype) for k, v in experiment.example.items()
    }
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(experiment.learner.init, key, experiment.example)
    after, scalars = jax.eval_shape(experiment.learner.step, state, experiment.example, key)
    assert dict(named_leaves(after)) == dict(named_leaves(state))
    assert all(value.shape == () for value in scalars.values())
    for name, parameter in inspect.signature(function).parameters.items():
        assert f" {name}: " in inspect.getdoc(function), f"{path.name}: {name} is not documented"
        assert parameter.kind is parameter.KEYWORD_ONLY
    if experiment.samples is not None:
        samples = experiment.samples
        made = jax.eval_shape(experiment.learner.predict, state, samples.batch)
        rank = len(experiment.example["image"].shape)
        assert jax.eval_shape(samples.view, made).ndim == rank
    if experiment.evaluation is None:  # features and generated images are judged elsewhere
        return
    prepared = jax.eval_shape(experiment.evaluation.prepare, key, experiment.example)
    output = jax.eval_shape(experiment.learner.predict, state, prepared)
    view, target = experiment.evaluation.view, prepared[experiment.evaluation.target]
    assert jax.eval_shape(view, output).shape == jax.eval_shape(view, target).shape
