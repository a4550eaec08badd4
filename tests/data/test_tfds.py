import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.data import Subset, icbm152
from medjax.data.tfds_builder import SourceBuilder, TfdsSource

SIDES = ("train", "validation", "test")


class Odd:
    """Samples of different shapes and of every kind of number."""

    groups = ("a", "b", "b")

    def __len__(self):
        return 3

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        shape = (index + 1, 3, 2)
        return {
            "image": rng.normal(size=shape).astype(np.float32),
            "kspace": (rng.normal(size=shape[:2]) + 1j).astype(np.complex64),
            "boxes": rng.integers(-9, 9, (index, 4)).astype(np.int16),
            "index": np.asarray(index, np.int32),
            "age": np.asarray(np.nan if index else 3.5, np.float32),
        }


def built(sources, folder, name="icbm152_slices", **more):
    builder = SourceBuilder(sources, data_dir=folder, name=name, description="A test.", **more)
    builder.download_and_prepare()
    return builder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    built(dict(zip(SIDES, icbm152.splits(), strict=True)), folder)
    return folder


@pytest.mark.parametrize("name", SIDES)
def test_the_prepared_set_is_the_source_bit_for_bit(folder, name):
    expected, got = getattr(icbm152.splits(), name), TfdsSource(folder, name)
    assert len(got) == len(expected)
    assert got.groups == expected.groups
    for i in (0, 7, len(got) - 1):
        same(got[i], expected[i])
    with pytest.raises(IndexError):
        got[len(got)]


def same(got, expected):
    assert got.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(got[key], value)
        assert got[key].dtype == value.dtype


def test_samples_of_any_shape_dtype_and_attributes(tmp_path):
    known = [{"age": 3.5, "sex": "F"}, {}, {}]
    more = {"attributes": {"full": known}, "shapes": {"boxes": (None, 4)}}
    builder = built({"full": Odd()}, tmp_path, "odd", **more)
    source = pickle.loads(pickle.dumps(TfdsSource(builder.data_dir, "full")))
    assert source.groups == Odd.groups
    assert source.attributes == tuple(known)
    for i in range(3):
        same(source[i], Odd()[i])
    assert builder.as_data_source(split="full")[1]["index"] == 1


def test_files_are_array_records_and_are_written_once(folder):
    files = {p: p.stat().st_mtime_ns for p in folder.rglob("*.array_record*")}
    assert len(files) == 3
    built(dict(zip(SIDES, icbm152.splits(), strict=True)), folder)
    assert files == {p: p.stat().st_mtime_ns for p in folder.rglob("*.array_record*")}


def test_what_is_not_there_is_named(folder, tmp_path):
    with pytest.raises(InputError, match=r"a set that was prepared there, got none"):
        TfdsSource(tmp_path, "train")
    with pytest.raises(InputError, match=r"one of .*train"):
        TfdsSource(folder, "all")
    with pytest.raises(InputError, match="at least one sample"):
        built({"train": Subset(icbm152.splits().train, [])}, tmp_path)
    (tmp_path / "dataset_info.json").write_text("{}")
    with pytest.raises(InputError, match="a set that medjax prepared"):
        TfdsSource(tmp_path, "train")


def test_a_sample_unlike_the_first_is_named(tmp_path):
    class Changing(Odd):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            return sample if index < 2 else {**sample, "image": sample["image"][0]}

    with pytest.raises(InputError, match=r"sample 2 .*float32\(\?, \?, \?\).*got .*\(3, 2\)"):
        built({"full": Changing()}, tmp_path, "odd")
    with pytest.raises(InputError, match=r"sample 1 .*float32\(1, 3, \?\).*got .*\(2, 3, 2\)"):
        built({"full": Odd()}, tmp_path, "odd", shapes={"image": (1, 3, None)})
    assert not list(tmp_path.rglob("*.array_record*"))


def test_a_sample_that_no_record_can_hold_is_refused(tmp_path):
    class Huge(Odd):
        def __getitem__(self, index):
            return {"image": np.broadcast_to(np.float32(1), (2**10, 2**10, 2**9))}

    with pytest.raises(InputError, match=r"sample 0 .*less than 2 GiB; .*data prepare"):
        built({"full": Huge()}, tmp_path, "odd")


def test_neither_tensorflow_nor_jax_is_imported(folder):
    code = f"""
        import sys
        from medjax.data import icbm152
        from medjax.data.tfds_builder import SourceBuilder, TfdsSource
        folder = {str(folder / "icbm152_slices" / "again")!r}
        source = {{"test": icbm152.splits().test}}
        SourceBuilder(source, data_dir=folder, name="t", description="A.").download_and_prepare()
        assert TfdsSource(folder, "test")[3]["image"].shape == (112, 96)
        assert not {{"tensorflow", "jax"}} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=120)
