"""Fine-tuning: the whole network learns, the layers near the image more slowly.

Training from scratch is the same protocol without pretrained variables, so that the two are
compared in everything else alike.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from medjax.core.batches import in_batches
from medjax.core.errors import InputError
from medjax.core.trees import map_named, named_leaves
from medjax.core.types import Array, Batch, Key, PyTree
from medjax.learners import Learner, State, augmented, supervised

from .attentive import passes, warm_cosine
from .protocol import CHOICE, Classifier, Protocol
from .sets import Labelled


class Layer(NamedTuple):
    """Parameters at one depth of a network, or at several.

    Attributes:
        pattern: found (``re.search``) in the paths of its parameters.
        stacked: whether the first axis of each is the depth, as of layers that are scanned.
    """

    pattern: str
    stacked: bool = False


VIT_LAYERS = (
    Layer("^(patch_embed|position|class_token|registers|mask_token)"),
    Layer("^encoder/", stacked=True),
    Layer("^(norm|head)"),
)
"""Of `medjax.models.vit.ViT`, image first."""

RESNET_LAYERS = (Layer("^stem"), *(Layer(f"^stage{i}_") for i in range(1, 5)), Layer("^head"))
"""Of `medjax.models.classifiers.ResNet`, a stage a layer, image first."""


def layer_scales(params: PyTree, layers: Sequence[Layer], decay: float) -> PyTree:
    """Factors of the learning rate: ``decay ** (depth below the last layer)``.

    Args:
        params: of the network, with its head.
        layers: from the image to the head.
        decay: from each layer to the one before it, in (0, 1]; Clark et al. 2020 (ELECTRA),
            and BEiT and MAE for images.

    Returns:
        A tree like the parameters, of arrays that broadcast to them.

    Raises:
        InputError: for another decay, a parameter that is in no layer, or stacked
            parameters of different depths.
    """
    if not 0 < decay <= 1:
        raise InputError("layer_decay", "a number in (0, 1]", decay)
    depths: list[int] = [1] * len(layers)

    def measure(path: str, leaf: Array) -> int:
        found = [i for i, layer in enumerate(layers) if re.search(layer.pattern, path)]
        if not found:
            raise InputError(path, "a parameter that is in one of the layers", "one in none")
        index = found[0]
        if layers[index].stacked:
            if depths[index] not in (1, leaf.shape[0]):
                raise InputError(path, f"{depths[index]} stacked layers", leaf.shape[0])
            depths[index] = leaf.shape[0]
        return index

    places = map_named(measure, params)
    starts = np.cumsum([0, *depths])
    last = int(starts[-1]) - 1

    def scale(index: int, leaf: Array) -> Array:
        depth = np.arange(starts[index], starts[index + 1])
        shape = (len(depth), *(1,) * (leaf.ndim - 1)) if layers[index].stacked else (1,) * leaf.ndim
        return jnp.asarray((decay ** (last - depth)).reshape(shape), leaf.dtype)

    return jax.tree.map(scale, places, params)


def transplanted(variables: Mapping[str, PyTree], pretrained: Mapping[str, PyTree]) -> dict:
    """Variables of a network with a head, all but the head from a pretrained one.

    Args:
        variables: of the network as it starts, with collections such as ``params``.
        pretrained: of the same network with or without a head.

    Raises:
        InputError: naming the first parameter that is missing, left over, or of another
            shape. The head is never taken.
    """
    merged = {}
    for name, tree in variables.items():
        body, source = (
            {k: v for k, v in dict(t).items() if k != "head"}
            for t in (tree, pretrained.get(name, {}))
        )
        wanted, found = _shapes(body), _shapes(source)
        for path in sorted(wanted.keys() | found.keys()):
            if wanted.get(path) != found.get(path):
                expected = f"shape {wanted[path]}" if path in wanted else "no such parameter"
                raise InputError(
                    f"pretrained {name}/{path}", expected, found.get(path, "no such parameter")
                )
        merged[name] = {**tree, **source}
    return merged


def _shapes(tree: PyTree) -> dict[str, tuple[int, ...]]:
    return {path: tuple(leaf.shape) for path, leaf in named_leaves(tree)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuning(Protocol):
    """All parameters trained on the labelled samples, by AdamW with layer-wise decay.

    After BEiT and MAE (He et al. 2022, arXiv:2111.06377, table 9), without their label
    smoothing and mixing. Inputs are images, ``(sample, *spatial, channel)``.

    Attributes:
        module: a network with a head, ``(batch, *spatial, channel) -> (batch, class)``,
            such as a `medjax.models.backbone.Backbone` with ``classes``.
        pretrained: its variables but for the head, as from a learner's state; None trains
            from scratch, that is from random ones.
        layers: of the network, image first; see `layer_scales`.
        rates: learning rates to choose from, the smallest first.
        layer_decay: see `layer_scales`; 1 for training from scratch.
        weight_decay: of AdamW, on kernels (parameters of two axes and more, the stacked
            axis aside).
        steps: of training, for any number of samples.
        batch_size: at most; each pass over the samples is in a new order.
        augmentation: ``(key, batch) -> batch`` on training batches with the entries
            ``image`` and ``index``.
    """

    title: ClassVar[str] = "fine-tuning"
    fixed: ClassVar[tuple[str, ...]] = (
        "new linear head; AdamW, gradients clipped to a norm of 1, learning rate warmed up over "
        "a tenth of the steps, then a cosine to 0; the last step counts",
        f"learning rate {CHOICE}",
    )
    seeded: ClassVar[bool] = True

    module: Any = dataclasses.field(repr=False)
    layers: tuple[Layer, ...] = dataclasses.field(repr=False)
    pretrained: Any = dataclasses.field(default=None, compare=False, repr=False)
    rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    layer_decay: float = 0.75
    weight_decay: float = 0.05
    steps: int = 200
    batch_size: int = 64
    augmentation: Callable[[Key[Array, ""], Batch], Batch] | None = dataclasses.field(
        default=None, repr=False
    )

    def choices(self) -> tuple[str, ...]:
        start = "random parameters" if self.pretrained is None else "pretrained parameters"
        augmentation = "none" if self.augmentation is None else "as given"
        return (
            f"network: {type(self.module).__name__} from {start}",
            f"augmentation: {augmentation}",
        )

    def candidates(self) -> Sequence[Mapping[str, Any]]:
        return [{"rate": rate} for rate in self.rates]

    def learner(self, rate: float | Array) -> Learner:
        """The learner of one candidate; a user may train it with `medjax.training.fit`."""
        schedule = warm_cosine(self.steps)

        def kernels(params: PyTree) -> PyTree:
            stacked = "|".join(layer.pattern for layer in self.layers if layer.stacked) or "$^"
            return map_named(lambda p, leaf: leaf.ndim - bool(re.search(stacked, p)) > 1, params)

        def scale(updates: PyTree, state: Any, params: PyTree) -> tuple[PyTree, Any]:
            factors = layer_scales(params, self.layers, self.layer_decay)
            return jax.tree.map(jnp.multiply, updates, factors), state

        optimizer = optax.chain(
            optax.clip_by_global_norm(1.0),
            optax.adamw(
                lambda step: rate * schedule(step), weight_decay=self.weight_decay, mask=kernels
            ),
            optax.GradientTransformation(lambda params: optax.EmptyState(), scale),
        )
        loss = optax.losses.softmax_cross_entropy_with_integer_labels
        learner = supervised(self.module, loss, optimizer)
        return augmented(learner, self.augmentation) if self.augmentation else learner

    def fit(
        self, train: Labelled, classes: int, setting: Mapping[str, Any], seed: int
    ) -> Classifier:
        key = jax.random.key(seed)
        rate = jnp.asarray(setting["rate"], jnp.float32)
        order = passes(len(train), self.batch_size, self.steps, seed)
        state = _start(self, key, _batch(train, order[0]))
        if self.pretrained is not None:
            variables = {"params": state.params, **state.variables}
            variables = transplanted(variables, self.pretrained)
            # Copies: the state is donated to the step.
            variables = jax.tree.map(jnp.copy, variables)
            state = state.replace(params=variables.pop("params"), variables=variables)
        for number, chosen in enumerate(order):
            state = _step(self, state, _batch(train, chosen), jax.random.fold_in(key, number), rate)
        return in_batches(lambda images: _predict(self, state, images), self.batch_size)


def _batch(train: Labelled, chosen: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "image": train.inputs[chosen],
        "label": train.labels[chosen].astype(np.int32),
        "index": chosen,
    }


@functools.partial(jax.jit, static_argnums=0)
def _start(protocol: FineTuning, key: Key[Array, ""], batch: Batch) -> State:
    return protocol.learner(0.0).init(key, batch)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def _step(
    protocol: FineTuning, state: State, batch: Batch, key: Key[Array, ""], rate: Array
) -> State:
    return protocol.learner(rate).step(state, batch, key)[0]


@functools.partial(jax.jit, static_argnums=0)
def _predict(protocol: FineTuning, state: State, images: Array) -> Array:
    return protocol.learner(0.0).predict(state, {"image": images})
