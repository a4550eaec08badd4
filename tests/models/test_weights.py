"""Checkpoints are matched exactly: nothing left over, nothing missing, nothing run."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.core.trees import named_leaves
from medjax.models.weights import (
    Naming,
    Rule,
    adapt_channels,
    adapt_kernel,
    adapt_positions,
    entries,
    import_file,
    import_weights,
    inflate,
    load_weights,
    save_weights,
)
from medjax.models.weights.catalogue import FAMILIES, recognised
from medjax.models.weights.catalogue import entry as catalogue_entry
from medjax.models.weights.naming import batch_norm, convolution, dense
from medjax.models.weights.transforms import conv_as_linear, grid, linear, linear_as_conv, vector

KEY = jax.random.key(0, impl="philox2x32")
RULES = (*convolution("stem", "conv"), *batch_norm("bn", "norm"), *dense("fc", "head"))
NAMING = Naming(RULES, head="fc")


class Net(nn.Module):
    classes: int = 2

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(4, (3,) * (x.ndim - 2), name="conv")(x)
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        return nn.Dense(self.classes, name="head")(x)


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def shapes(module=Net(), channels=3, axes=2):  # noqa: B008
    x = jax.ShapeDtypeStruct((1, *(8,) * axes, channels), jnp.float32)
    return jax.eval_shape(module.init, KEY, x)


def checkpoint(**changes):
    tensors = {
        "stem.weight": normal(4, 3, 3, 3),
        "stem.bias": normal(4),
        "bn.weight": normal(4),
        "bn.bias": normal(4),
        "bn.running_mean": normal(4),
        "bn.running_var": normal(4),
        "bn.num_batches_tracked": np.zeros((), np.int64),
        "fc.weight": normal(2, 4),
        "fc.bias": normal(2),
    }
    return {k: a for k, a in {**tensors, **changes}.items() if a is not None}


def test_every_tensor_reaches_its_leaf_in_its_layout():
    variables, report = import_weights(checkpoint(), NAMING, shapes())
    params, stats = variables["params"], variables["batch_stats"]
    np.testing.assert_array_equal(
        params["conv"]["kernel"], normal(4, 3, 3, 3).transpose(2, 3, 1, 0)
    )
    np.testing.assert_array_equal(params["head"]["kernel"], normal(2, 4).T)
    np.testing.assert_array_equal(stats["norm"]["var"], normal(4))
    assert report.complete
    assert report.ignored == ["bn.num_batches_tracked"]
    assert report.filled["params/head/bias"] == "fc.bias"


def test_whatever_is_missing_left_over_or_of_another_shape_is_listed_in_one_line():
    changes = {"fc.bias": None, "fc.scale": normal(2), "x": normal(1), "bn.bias": normal(5)}
    with pytest.raises(InputError) as caught:
        import_weights(checkpoint(**changes), NAMING, shapes(), source="a.safetensors")
    message = str(caught.value)
    assert message.startswith("a.safetensors: expected a tensor for every parameter")
    assert "1 missing: params/head/bias; 2 left over: fc.scale, x;" in message
    assert "1 of other shape: params/norm/bias: wanted (4,), got (5,)" in message
    assert "\n" not in message


def test_without_strictness_what_is_not_filled_stays_and_the_report_tells():
    start = jax.tree.map(lambda leaf: np.full(leaf.shape, 7, leaf.dtype), shapes())
    tensors = checkpoint(**{"fc.bias": None, "bn.bias": normal(5), "x": normal(1)})
    variables, report = import_weights(tensors, NAMING, start, strict=False)
    assert report.missing == ["params/head/bias"]
    assert report.unused == ["x"]
    assert list(report.misshapen) == ["params/norm/bias"]
    np.testing.assert_array_equal(variables["params"]["head"]["bias"], 7.0)
    np.testing.assert_array_equal(variables["params"]["norm"]["bias"], 7.0)
    np.testing.assert_array_equal(variables["params"]["norm"]["scale"], normal(4))
    with pytest.raises(InputError, match="params/head/bias: expected an array"):
        import_weights(checkpoint(**{"fc.bias": None}), NAMING, shapes(), strict=False)


def test_an_old_head_is_dropped_and_a_new_one_stays_only_where_that_is_said():
    new = jax.tree.map(lambda leaf: np.full(leaf.shape, 7, leaf.dtype), shapes(Net(5)))
    with pytest.raises(InputError, match=r"2 of other shape: params/head/kernel.*params/head/bias"):
        import_weights(checkpoint(), NAMING, new)
    with pytest.raises(InputError, match=r"left over: fc\.weight, fc\.bias"):
        import_weights(checkpoint(), NAMING, new, retain=("params/head/",))
    variables, report = import_weights(
        checkpoint(), NAMING, new, drop=(r"^fc\.",), retain=("params/head/",)
    )
    assert report.complete
    assert set(report.ignored) == {"bn.num_batches_tracked", "fc.weight", "fc.bias"}
    np.testing.assert_array_equal(variables["params"]["head"]["kernel"], np.full((4, 5), 7))


def test_two_tensors_for_one_leaf_are_refused():
    naming = Naming((Rule("other", "params/head/bias"), *RULES))
    with pytest.raises(InputError, match=r"fc\.bias and other for params/head/bias"):
        import_weights(checkpoint(other=normal(2)), naming, shapes())


def test_layers_are_stacked_and_fused_tensors_split():
    stacked = {
        "params": {name: jax.ShapeDtypeStruct((2, 3, 5), jnp.float32) for name in ("a", "b")}
    }
    targets = (r"params/a/[\1]", r"params/b/[\1]")
    naming = Naming((Rule(r"layer(\d)", targets, linear),))
    tensors = {f"layer{i}": i + normal(10, 3) for i in range(2)}
    variables, report = import_weights(tensors, naming, stacked)
    np.testing.assert_array_equal(variables["params"]["a"][1], 1 + normal(10, 3)[:5].T)
    np.testing.assert_array_equal(variables["params"]["b"][0], normal(10, 3)[5:].T)
    assert report.filled["params/a/[1]"] == "layer1"
    with pytest.raises(InputError, match=r"2 missing: params/a \[1\], params/b \[1\]"):
        import_weights({"layer0": normal(10, 3)}, naming, stacked)
    with pytest.raises(InputError, match="layer0: wanted 2 equal parts, got \\(9, 3\\)"):
        import_weights({**tensors, "layer0": normal(9, 3)}, naming, stacked)
    with pytest.raises(InputError, match="1 left over: layer2"):
        import_weights({**tensors, "layer2": normal(10, 3)}, naming, stacked)


def test_half_precision_is_widened_before_anything_is_computed():
    half = checkpoint(**{"stem.weight": normal(4, 3, 3, 3).astype(jnp.bfloat16)})
    adaptations = (("conv/kernel", adapt_kernel),)
    variables, report = import_weights(half, NAMING, shapes(channels=1), adaptations=adaptations)
    kernel = normal(4, 3, 3, 3).astype(jnp.bfloat16).astype(np.float32)
    expected = kernel.sum(1, keepdims=True).transpose(2, 3, 1, 0)
    np.testing.assert_allclose(variables["params"]["conv"]["kernel"], expected, rtol=1e-6)
    assert report.adapted == ["params/conv/kernel"]


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_other_input_channels_keep_the_answer_to_images_whose_channels_are_alike(channels):
    kernel = normal(3, 3, 3, 4)
    adapted = adapt_channels(kernel, (3, 3, channels, 4))
    assert adapted.shape == (3, 3, channels, 4)
    np.testing.assert_allclose(adapted.sum(2), kernel.sum(2), atol=1e-6)


def test_an_inflated_network_answers_to_a_volume_of_equal_slices_as_the_one_of_images():
    image = jnp.asarray(normal(1, 6, 6, 3))
    flat, _ = import_weights(checkpoint(), NAMING, shapes())
    adaptations = (("kernel", inflate),)
    deep, report = import_weights(checkpoint(), NAMING, shapes(axes=3), adaptations=adaptations)
    assert report.adapted == ["params/conv/kernel"]
    y = Net().apply(deep, jnp.repeat(image[:, None], 5, axis=1))
    np.testing.assert_allclose(y[:, 2], Net().apply(flat, image), atol=1e-5)


def test_layouts_that_do_not_fit_are_handed_on_for_the_report_and_never_reshaped_to_fit():
    # A transposed square root of a shape has the right size, and must not pass for it.
    assert linear(normal(4, 6), (4, 6)).shape == (6, 4)
    assert linear(normal(6, 4), (2, 3, 4)).shape == (4, 6)
    assert linear(normal(6, 4), (4, 2, 3)).shape == (4, 2, 3)
    assert linear(normal(3, 4, 6), (4, 6)).shape == (3, 4, 6)
    assert vector(normal(5), (2, 3)).shape == (5,)
    assert conv_as_linear(normal(2, 3, 1, 1), (3, 2)).shape == (3, 2)
    assert conv_as_linear(normal(2, 3, 2, 1), (3, 2)).shape == (2, 3, 2, 1)
    assert linear_as_conv(normal(2, 3), (1, 1, 3, 2)).shape == (1, 1, 3, 2)
    assert adapt_kernel(normal(3, 3, 3, 4), (3, 3, 3, 3, 5)).shape == (3, 3, 3, 3, 4)
    assert grid(normal(1, 7, 4), (2, 2, 4)).shape == (1, 7, 4)


def test_positions_are_laid_on_their_grid_and_interpolated_to_another():
    table = normal(1, 9, 4)
    assert grid(table, (5, 5, 4)).shape == (3, 3, 4)
    np.testing.assert_array_equal(
        adapt_positions(table[0].reshape(3, 3, 4), (3, 3, 4)).reshape(9, 4), table[0]
    )
    constant = adapt_positions(np.ones((3, 3, 4), np.float32), (5, 7, 4))
    np.testing.assert_allclose(constant, np.ones((5, 7, 4)), atol=1e-6)


def test_files_that_could_run_code_and_broken_ones_are_refused(tmp_path):
    for ending in (".pth", ".bin", ".ckpt"):
        path = tmp_path / f"model{ending}"
        path.write_bytes(b"")
        with pytest.raises(
            InputError, match=rf"model\{ending}: expected a .safetensors file, since"
        ):
            import_file(path, "vit_b16")
    pytest.importorskip("safetensors")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"nonsense")
    with pytest.raises(InputError, match="a file that is none"):
        load_weights(broken)
    with pytest.raises(InputError, match="no such file"):
        load_weights(tmp_path / "absent.safetensors")
    with pytest.raises(InputError, match=r"ends in \.safetensors"):
        save_weights(tmp_path / "out.bin", {})


def test_variables_are_written_and_read_back_bit_for_bit(tmp_path):
    pytest.importorskip("safetensors")
    variables, _ = import_weights(checkpoint(), NAMING, shapes())
    path = tmp_path / "net.safetensors"
    save_weights(path, variables)
    jax.tree.map(np.testing.assert_array_equal, load_weights(path), variables)


def test_each_architecture_can_be_made_and_its_stem_is_the_layer_that_sees_the_image():
    for name, entry in entries().items():
        assert entry.backbone(classes=2).classes == 2, name
        assert entry.namings, name
    for family in FAMILIES:
        name, entry = next(iter(FAMILIES[family].items()))
        x = jax.ShapeDtypeStruct((1, *entry.spatial, entry.channels), jnp.float32)
        leaves = dict(named_leaves(jax.eval_shape(entry.backbone().init, KEY, x)))
        assert leaves[f"params/{entry.stem}/kernel"].shape[-2] == entry.channels, name
    with pytest.raises(InputError, match="vit_b16"):
        catalogue_entry("vit_b61")


def test_the_library_is_told_by_its_names():
    namings = entries()["vit_b16"].namings
    assert recognised(["class_token", "encoder.ln.bias"], namings) == "torchvision"
    assert recognised(["cls_token", "norm.bias"], namings) == "timm"
    namings = entries()["swin_t_window7"].namings
    merge = "downsample.reduction.weight"
    assert recognised([f"layers.{i}.{merge}" for i in (1, 2, 3)], namings) == "timm"
    assert recognised([f"layers.{i}.{merge}" for i in (0, 1, 2)], namings) == "microsoft"
