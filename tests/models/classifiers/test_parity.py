"""Every backbone beside the networks of torchvision, timm and MONAI whose weights it takes."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference.filling import state, uniform

from medjax.core.trees import named_leaves
from medjax.models.classifiers import (
    VGG,
    AlexNet,
    ConvNeXt,
    DenseNet,
    EfficientNet,
    GoogLeNet,
    MobileNet,
    ResNet,
)
from medjax.models.classifiers.efficientnet import scaled_blocks
from medjax.models.classifiers.mobilenet import v2_blocks, v3_blocks
from medjax.models.weights import convnext, densenet, import_weights, inverted, plain, resnet

KEY = jax.random.key(0, impl="philox2x32")
REFERENCE = Path(__file__).parents[2] / "reference"

WIDTHS = (8, 12, 16, 24)
RESNET = {"classes": 5, "depths": (1, 1, 1, 1), "widths": WIDTHS, "stem": 8}
DENSENET = {"classes": 5, "depths": (2, 3, 2, 1), "growth": 4, "stem": 8}
V2 = ((1, 8, 1, 1), (6, 16, 2, 2), (6, 24, 1, 2))
V3 = (
    (3, 16, 16, 2, "relu", True),
    (3, 40, 24, 2, "relu", False),
    (5, 48, 24, 1, "hard_swish", True),
)
V3_SMALL = {"classes": 5, "blocks": v3_blocks(V3, 1.0), "last": 144, "hidden": 32}
B = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 1))
PLAIN = {"classes": 5, "hidden": (32, 24), "dropout": 0.0}
VGG_NARROW = {**PLAIN, "depths": (1, 2, 1, 1, 1), "widths": (8, 12, 16, 16, 20)}
CONVNEXT = ConvNeXt(5, depths=(1, 1, 2, 1), widths=WIDTHS)
GOOGLENET = GoogLeNet(5, large_kernel=3, auxiliary=True)


def still(module):
    """The module without what acts by chance in training."""
    fields = ("dropout", "auxiliary_dropout", "drop_path")
    return module.clone(**{f: 0.0 for f in fields if hasattr(module, f)})


CASES = {
    "resnet/basic": (
        resnet.TORCHVISION,
        ResNet(**{**RESNET, "depths": (2, 1, 1, 1)}, block="basic"),
    ),
    "resnet/wide": (resnet.TORCHVISION, ResNet(**{**RESNET, "depths": (1, 2, 1, 1)}, inner=2.0)),
    "resnet/d": (resnet.TIMM_D, ResNet(**RESNET, block="basic", variant_d=True)),
    "resnet/se": (resnet.TORCHVISION, ResNet(**{**RESNET, "stem": 64}, attention="se")),
    "resnet/monai": (resnet.MONAI, ResNet(**RESNET, stem_strides=1)),
    "densenet/torchvision": (densenet.TORCHVISION, DenseNet(**DENSENET)),
    "densenet/monai": (densenet.MONAI, DenseNet(**DENSENET)),
    "inverted/v2": (inverted.TORCHVISION, MobileNet(5, blocks=v2_blocks(V2, 1.0, 32))),
    "inverted/v3": (inverted.TORCHVISION_V3, MobileNet.named("v3_small", **V3_SMALL)),
    "inverted/efficientnet": (
        inverted.TORCHVISION,
        EfficientNet(5, blocks=scaled_blocks(B, 1.1, 1.2, 32), last=64),
    ),
    "inverted/timm_v2": (inverted.TIMM, MobileNet(5, blocks=v2_blocks(V2, 1.0, 32))),
    "inverted/timm_v3": (
        inverted.TIMM_V3,
        MobileNet.named("v3_small", **V3_SMALL, epsilon=1e-5),
    ),
    "inverted/timm_efficientnet": (
        inverted.TIMM,
        EfficientNet(5, blocks=scaled_blocks(B, 1.0, 1.0, 32), last=64),
    ),
    "plain/vgg": (plain.VGG_TORCHVISION, VGG(**VGG_NARROW)),
    "plain/vgg_bn": (plain.VGG_TORCHVISION, VGG(**VGG_NARROW, norm="batch")),
    "plain/vgg_timm": (plain.VGG_TIMM, VGG(**{**VGG_NARROW, "hidden": (24, 24)})),
    "plain/alexnet": (plain.ALEXNET, AlexNet(**PLAIN)),
    "plain/googlenet": (plain.GOOGLENET, GOOGLENET),
    "convnext/torchvision": (convnext.TORCHVISION, CONVNEXT),
    "convnext/timm": (convnext.TIMM, CONVNEXT),
}


@pytest.mark.parametrize("name", CASES)
def test_with_an_originals_weights_it_gives_the_originals_output(name):
    naming, module = CASES[name]
    family, case = name.split("/")
    with np.load(REFERENCE / f"{family}.npz") as file:
        reference = {k.removeprefix(f"{case}/"): a for k, a in file.items() if f"{case}/" in k}
    x = jnp.asarray(uniform("input", tuple(reference["input_shape"])))
    module = still(module)
    variables, report = import_weights(
        state(json.loads(str(reference["shapes"]))), naming, jax.eval_shape(module.init, KEY, x)
    )
    assert report.complete

    def both(variables, x):
        method = "with_auxiliary" if "train1" in reference else None
        options = {"train": True, "mutable": ["batch_stats"], "method": method}
        trained, learned = module.apply(variables, x, **options)
        return (module.apply(variables, x), trained), learned

    outputs, learned = jax.jit(both)(variables, x)
    names = ("eval", "train", "train1", "train2")
    for got, key in zip(jax.tree.leaves(outputs), names, strict=False):
        expected = reference[key]
        # Variances of the few values of the last maps multiply what is rounded.
        tolerance = 1e-5 if key == "eval" or not learned else 1e-4
        np.testing.assert_allclose(
            got, expected, atol=tolerance * np.abs(expected).max(), err_msg=key
        )
    if learned and name not in ("resnet/monai", "plain/vgg_bn"):  # whose means have a bias in them
        before = dict(named_leaves({"batch_stats": variables["batch_stats"]}))
        # The rate at which the original learns them; ours is 0.1.
        faster = {"inverted/v3": 0.01}.get(name, 0.1) / 0.1
        means = [
            (before[path] + faster * (a - before[path])).mean()
            for path, a in named_leaves(learned)
            if path.endswith("mean")
        ]
        np.testing.assert_allclose(np.sort(means), np.sort(reference["running_mean"]), atol=1e-5)
