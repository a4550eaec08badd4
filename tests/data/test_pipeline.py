import functools
import itertools
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.data import Mixture, Subset, VolumeSlices, evaluation, training
from medjax.data.order import Shuffled

VOLUME = np.arange(2 * 3 * 7, dtype=np.float32).reshape(2, 3, 7)
SOURCE = VolumeSlices(VOLUME, axis="axial", shape=(3, 2))


def noisy(sample, rng):
    return {**sample, "noise": rng.normal(size=2).astype(np.float32)}


def failing(sample, rng, error):
    if sample["index"] == 5:
        raise error
    return sample


class Unpicklable(Exception):
    def __init__(self):
        super().__init__("cannot travel")
        self.hold = lambda: None


def train(**kwargs):
    return training(SOURCE, batch_size=4, seed=5, transform=noisy, **kwargs)


def first(dataset, count):
    iterator = iter(dataset)
    batches = list(itertools.islice(iterator, count))
    iterator.close()
    return batches


def assert_same(got, expected):
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        assert a.keys() == b.keys()
        for key in a:
            assert isinstance(a[key], np.ndarray)
            assert a[key].dtype == b[key].dtype
            np.testing.assert_array_equal(a[key], b[key])


def joined(parts):
    return [
        {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
        for batches in zip(*parts, strict=True)
    ]


@pytest.fixture(scope="module")
def expected():
    return first(train(), 9)


def test_an_epoch_has_every_sample_once_in_an_order_of_its_own(expected):
    order = np.concatenate([b["index"] for b in expected])[:35].reshape(5, 7)
    np.testing.assert_array_equal(np.sort(order), np.tile(np.arange(7), (5, 1)))
    assert len({tuple(o) for o in order}) == 5
    other = first(training(SOURCE, batch_size=7, seed=6), 1)[0]["index"]
    assert tuple(other) != tuple(order[0])
    image = expected[0]["image"]
    assert image.shape == (4, 3, 2)
    np.testing.assert_array_equal(image, VOLUME.T[expected[0]["index"]])


def test_noise_is_new_in_each_epoch_and_for_each_sample(expected):
    noise = np.concatenate([b["noise"] for b in expected])
    assert len(np.unique(noise[:, 0])) == len(noise)


@pytest.mark.parametrize("workers", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_workers_change_nothing_and_resuming_goes_on(expected, workers):
    assert_same(first(train(), 9), expected)
    iterator = iter(train(workers=workers))
    assert_same(list(itertools.islice(iterator, 3)), expected[:3])
    state = iterator.get_state()
    assert_same(list(itertools.islice(iterator, 2)), expected[3:5])
    iterator.set_state(state)
    assert_same(list(itertools.islice(iterator, 6)), expected[3:])
    iterator.close()


def test_any_hosts_and_workers_go_on_where_others_were(expected):
    iterator = iter(train(host=1, hosts=2))
    for _ in range(3):
        next(iterator)
    state = iterator.get_state()
    iterator.close()
    for hosts, workers in ((1, 0), (1, 1), (4, 0)):
        parts = []
        for host in range(hosts):
            other = iter(train(host=host, hosts=hosts, workers=workers))
            other.set_state(state)
            parts.append(list(itertools.islice(other, 6)))
            other.close()
        assert_same(joined(parts), expected[3:])


@pytest.mark.parametrize("hosts", [2, 4])
def test_hosts_put_together_are_one_host(expected, hosts):
    assert_same(joined([first(train(host=h, hosts=hosts), 9) for h in range(hosts)]), expected)
    whole = first(evaluation(SOURCE, batch_size=4), 9)
    parts = [first(evaluation(SOURCE, batch_size=4, host=h, hosts=hosts), 9) for h in range(hosts)]
    assert_same(joined(parts), whole)


@pytest.mark.slow
def test_workers_on_two_hosts_are_one_process(expected):
    assert_same(joined([first(train(host=h, hosts=2, workers=1), 9) for h in range(2)]), expected)


def test_evaluation_sees_every_sample_once_in_order_and_says_what_fills():
    batches = first(evaluation(SOURCE, batch_size=4), 9)
    assert [b["index"].tolist() for b in batches] == [[0, 1, 2, 3], [4, 5, 6, 6]]
    assert [b["valid"].tolist() for b in batches] == [[True] * 4, [True] * 3 + [False]]
    assert batches[0]["valid"].dtype == bool


@pytest.mark.slow
def test_evaluation_with_a_worker_is_the_same_and_ends():
    assert_same(
        first(evaluation(SOURCE, batch_size=4, workers=1), 9),
        first(evaluation(SOURCE, batch_size=4), 9),
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_an_input_error_of_a_worker_comes_as_it_is(workers):
    error = InputError("a.nii", "finite voxels", "2 that are NaN")
    transform = functools.partial(failing, error=error)
    with pytest.raises(InputError) as caught:
        first(training(SOURCE, batch_size=4, transform=transform, workers=workers), 3)
    assert str(caught.value) == "a.nii: expected finite voxels, got 2 that are NaN"


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_an_error_that_cannot_be_pickled_does_not_hang(workers):
    transform = failing_unpicklably
    with pytest.raises(RuntimeError, match=r"sample at place [0-6]: Unpicklable: cannot travel"):
        first(training(SOURCE, batch_size=4, transform=transform, workers=workers), 3)


def failing_unpicklably(sample, rng):
    return failing(sample, rng, Unpicklable())


class Broken:
    """A source with one sample that cannot be read."""

    groups = ("volume",) * 7

    def __len__(self):
        return 7

    def __getitem__(self, index):
        if index == 2:
            raise InputError("sub-3.nii", "a whole file", "a truncated one")
        return SOURCE[index]


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_broken_samples_are_skipped_where_allowed_and_listed(workers):
    source = Broken()
    with pytest.raises(InputError, match=r"sub-3.nii"):
        first(training(source, batch_size=7), 1)
    iterator = iter(training(source, batch_size=7, on_error="skip", workers=workers))
    batches = [next(iterator) for _ in range(2)]
    iterator.close()
    counts = np.stack([np.bincount(b["index"], minlength=7) for b in batches])
    np.testing.assert_array_equal(counts, 2 * [[1, 1, 0, 2, 1, 1, 1]])  # 3 for the broken 2
    assert iterator.skipped == {"sub-3.nii: expected a whole file, got a truncated one": 2}
    iterator = iter(evaluation(source, batch_size=4, on_error="skip", workers=workers))
    batches = list(iterator)
    assert np.concatenate([b["valid"] for b in batches]).tolist() == [
        i not in (2, 7) for i in range(8)
    ]
    assert sum(iterator.skipped.values()) == 1
    with pytest.raises(InputError, match=r"1 broken ones in a row; the first: sub-3.nii"):
        next(iter(training(Subset(source, [2]), batch_size=1, on_error="skip")))
    with pytest.raises(InputError, match="'raise' or 'skip'"):
        training(source, batch_size=1, on_error="pass")


class Drawing(Subset):
    """A source with chance in it."""

    def draw(self, index, rng):
        return {**self[index], "image": rng.normal(size=2)}


def test_a_source_draws_anew_in_each_epoch_and_a_subset_as_its_source():
    source = Drawing(SOURCE, range(7))
    batches = first(training(source, batch_size=7, seed=3), 2)
    assert len(np.unique(np.concatenate([b["image"][:, 0] for b in batches]))) == 14
    for subset in (Drawing(SOURCE, range(7)), Subset(source, range(7))):
        assert_same(first(training(subset, batch_size=7, seed=3), 2), batches)


def test_a_mixture_has_its_proportions_and_whole_epochs_of_each_part():
    small = Subset(SOURCE, [0, 1, 2])
    mixture = Mixture([small, SOURCE], [3, 1])
    assert isinstance(mixture.counts, np.ndarray)
    batches = first(training(mixture, batch_size=40, seed=1), 50)
    part = np.concatenate([b["part"] for b in batches])
    index = np.concatenate([b["index"] for b in batches])
    np.testing.assert_array_equal(np.bincount(part[:1000]), [750, 250])
    np.testing.assert_array_equal(np.bincount(part), [1500, 500])
    np.testing.assert_array_equal(np.bincount(index[part == 0]), [500] * 3)
    own = index[part == 1][: 7 * 71].reshape(71, 7) - 3
    np.testing.assert_array_equal(np.sort(own), np.tile(np.arange(7), (71, 1)))
    halves = [first(training(mixture, batch_size=40, seed=1, host=h, hosts=2), 5) for h in (0, 1)]
    assert_same(joined(halves), batches[:5])
    for weights in ([1], [1, 0], [1, np.inf], [1, 1e-6]):
        with pytest.raises(InputError, match="weights"):
            Mixture([small, SOURCE], weights)


def test_only_numbers_make_a_batch():
    def named(sample, rng):
        return {**sample, "name": "anna"}

    with pytest.raises(InputError, match=r"sample\['name'\]: expected an array of numbers"):
        first(training(SOURCE, batch_size=4, transform=named), 1)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 5, "hosts": 2}, "a positive multiple of the 2 hosts, got 5"),
        ({"batch_size": 4, "host": 2, "hosts": 2}, "a number in 0 to 1, got 2"),
        ({"batch_size": 4, "workers": -1}, "workers"),
        ({"batch_size": 4, "seed": -1}, "seed"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(kwargs, match):
    with pytest.raises(InputError, match=match):
        training(SOURCE, **kwargs)
    with pytest.raises(InputError, match="at least one sample"):
        evaluation(Subset(SOURCE, []), batch_size=2)


def test_places_far_away_cost_nothing():
    order = Shuffled(SOURCE, seed=0, transform=None, skip=False)
    assert 0 <= order[10**12][0]["index"] < 7
    one = Shuffled(Subset(SOURCE, [3]), seed=0, transform=None, skip=False)
    assert one[9][0]["index"] == 3


def test_nothing_that_a_worker_imports_of_medjax_imports_jax(tmp_path):
    # grain imports jax where it is installed; so it is hidden here.
    code = """
        import pickle, sys
        sys.modules["jax"] = sys.modules["flax"] = sys.modules["optax"] = None
        import numpy as np
        import medjax.data as data
        assert not {"grain", "nibabel", "h5py", "tensorflow_datasets"} & set(sys.modules)
        path = sys.argv[1] + "/a.nii"
        data.write_image(path, data.Image(np.ones((3, 4, 5), np.float32), np.eye(4)))
        source = pickle.loads(pickle.dumps(data.ImageSlices([path], shape=(4, 3))))
        batch = next(iter(data.training(source, batch_size=2)))
        assert batch["image"].shape == (2, 4, 3)
        assert [name for name in data.__all__ if not hasattr(data, name)] == []
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    subprocess.run(command, check=True, timeout=120)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_told_and_does_not_hang():
    code = """
        import itertools, multiprocessing, os, signal, sys
        import numpy as np
        from medjax.data import VolumeSlices, training

        if __name__ == "__main__":
            volume = np.zeros((2, 3, 7), np.float32)
            source = VolumeSlices(volume, axis="axial", shape=(3, 2))
            batches = iter(training(source, batch_size=4, workers=2))
            next(batches)
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
            try:
                list(itertools.islice(batches, 10_000))
            except RuntimeError as error:
                assert "terminated unexpectedly" in str(error)
                sys.exit(7)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, timeout=120, capture_output=True)
    assert done.returncode == 7, done.stderr
