"""``medjax weights``."""

from types import SimpleNamespace

import numpy as np
import pytest

from medjax.cli import runs, weights_command
from medjax.core.errors import InputError
from medjax.models.vit import ViT
from medjax.models.weights import catalogue, load_weights, vit

safetensors = pytest.importorskip("safetensors.numpy")


def checkpoint(**changes):
    """A tiny transformer as timm names it."""

    def normal(*shape):
        return np.random.default_rng(0).standard_normal(shape).astype(np.float32)

    tensors = {
        "cls_token": normal(1, 1, 4),
        "pos_embed": normal(1, 5, 4),
        "patch_embed.proj.weight": normal(4, 3, 2, 2),
        "patch_embed.proj.bias": normal(4),
        "norm.weight": normal(4),
        "norm.bias": normal(4),
        "head.weight": normal(3, 4),
        "head.bias": normal(3),
    }
    linear = {"attn.qkv": (12, 4), "attn.proj": (4, 4), "mlp.fc1": (16, 4), "mlp.fc2": (4, 16)}
    for name, shape in {**linear, "norm1": (4,), "norm2": (4,)}.items():
        tensors[f"blocks.0.{name}.weight"] = normal(*shape)
        tensors[f"blocks.0.{name}.bias"] = normal(shape[0])
    return {**tensors, **changes}


@pytest.fixture
def tiny(monkeypatch):
    def make(**changes):
        fields = {"width": 4, "depth": 1, "heads": 1, "patch": 2, "image_size": 4}
        return ViT(**{**fields, **changes})

    entry = catalogue.Entry(make, (4, 4), 3, "patch_embed", {"timm": vit.TIMM})
    monkeypatch.setitem(vit.ENTRIES, "tiny", entry)


def test_import_writes_what_load_weights_reads_and_says_what_it_did(tiny, tmp_path, capsys):
    file = tmp_path / "a.safetensors"
    safetensors.save_file(checkpoint(), file)
    weights_command.run(["import", str(file), "--as", "tiny"])
    variables = load_weights(tmp_path / "a.medjax.safetensors")
    head = variables["params"]["head"]["kernel"]
    np.testing.assert_array_equal(head, checkpoint()["head.weight"].T)
    assert "tiny, as timm names it\n  20 tensors" in capsys.readouterr().out

    output = tmp_path / "b.safetensors"
    options = ["--channels", "1", "--volume", "True", "--image-size", "6", "--drop-head", "True"]
    weights_command.run(["import", str(file), "--as", "tiny", "-o", str(output), *options])
    params = load_weights(output)["params"]
    assert "head" not in params
    assert params["position"]["table"].shape == (3, 3, 3, 4)
    kernel = checkpoint()["patch_embed.proj.weight"].sum(1, keepdims=True).transpose(2, 3, 1, 0)
    expected = np.stack([kernel / 2] * 2)
    np.testing.assert_allclose(params["patch_embed"]["kernel"], expected, rtol=1e-5)
    told = capsys.readouterr().out
    assert "ignored: head.bias, head.weight" in told
    assert "adapted: params/patch_embed/kernel, params/position/table" in told


def test_nothing_is_written_where_a_tensor_is_left_over(tiny, tmp_path):
    file = tmp_path / "a.safetensors"
    safetensors.save_file(checkpoint(unknown=np.zeros(3, np.float32)), file)
    with pytest.raises(InputError, match=r"a\.safetensors: expected .*1 left over: unknown"):
        weights_command.run(["import", str(file), "--as", "tiny"])
    assert list(tmp_path.iterdir()) == [file]


def test_list_names_architectures_and_the_libraries_whose_files_they_take(capsys):
    weights_command.run(["list"])
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    assert ["vit_b16", "timm, torchvision"] in [[line[0], line[-1].strip()] for line in lines]
    with pytest.raises(InputError, match="weights: expected one of import, export, list"):
        weights_command.run(["delete"])


def test_export_writes_what_a_run_pretrained(tmp_path, monkeypatch, capsys):
    run, found = tmp_path / "run", {"params": {"kernel": np.ones((2, 3), np.float32)}}
    state = SimpleNamespace(params={"backbone": found["params"], "decoder": {}}, step=7)
    experiment = SimpleNamespace(pretrained=lambda state: {"params": state.params["backbone"]})
    monkeypatch.setattr(runs, "open_run", lambda run, config: (experiment, {}))
    monkeypatch.setattr(runs, "trained_state", lambda experiment, run: (None, state))
    run.mkdir()
    weights_command.run(["export", str(run)])
    assert "6 parameters of step 7" in capsys.readouterr().out
    written = load_weights(run / "pretrained.safetensors")
    np.testing.assert_array_equal(written["params"]["kernel"], found["params"]["kernel"])
    with pytest.raises(InputError, match=r"ends in \.safetensors"):
        weights_command.run(["export", str(run), "-o", str(tmp_path / "weights.npz")])
    experiment.pretrained = None
    with pytest.raises(InputError, match="whose config sets 'pretrained'"):
        weights_command.run(["export", str(run)])
