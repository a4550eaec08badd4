"""The loop: resumed equals uninterrupted, any number of devices, stops and failures."""

import dataclasses
import json
import os
import signal

import jax
import numpy as np
import pytest
import tiny

from medjax import learners, training
from medjax.core.errors import InputError
from medjax.training.records import read_scalars


def same_bits(a, b):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(a), jax.device_get(b))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole")
    return directory, training.fit(tiny.experiment(), directory, shown=False)


def with_event(experiment, step, event):
    """The same experiment, with ``event()`` called before the batch of ``step + 1`` is drawn."""

    class Iterator:
        def __init__(self):
            self.inner, self.count = iter(experiment.train(host=0, hosts=1)), 0

        def __iter__(self):
            return self

        def __next__(self):
            self.count += 1
            if self.count == step + 1:
                event()
            return next(self.inner)

        def __getattr__(self, name):  # the checkpoint's protocol
            return getattr(self.inner, name)

    return dataclasses.replace(experiment, train=lambda host, hosts: Iterator())


def cut_power():
    raise RuntimeError("power cut")


def test_resumed_equals_uninterrupted(tmp_path, whole):
    directory, wanted = whole
    with pytest.raises(RuntimeError, match="power cut"):
        training.fit(with_event(tiny.experiment(), 8, cut_power), tmp_path, shown=False)
    same_bits(training.fit(tiny.experiment(), tmp_path, shown=False), wanted)

    def scalars(path):
        return [{k: v for k, v in r.items() if k != "seconds"} for r in read_scalars(path)]

    assert scalars(tmp_path) == scalars(directory)
    assert [r["step"] for r in scalars(tmp_path)] == [2, 3, 4, 6, 8, 9, 10, 12]
    # A finished run is left as it is.
    same_bits(training.fit(tiny.experiment(), tmp_path, shown=False), wanted)


def test_workers_change_nothing(tmp_path, whole):
    experiment = tiny.experiment(workers=1)
    same_bits(training.fit(experiment, tmp_path, shown=False), whole[1])


@pytest.mark.parametrize("placement", training.PLACEMENTS)
def test_devices_change_nothing_but_rounding(tmp_path, placement):
    def run(devices, placement):
        experiment = tiny.experiment(placement=placement)
        placed = training.place(experiment, devices)
        data = iter(experiment.train(host=0, hosts=1))
        state = placed.init(jax.random.key(0), placed.put(next(data)))
        for step in range(6):
            state, _ = placed.step(state, placed.put(next(data)), jax.random.key(step))
        return state

    one = run(jax.devices()[:1], training.data_parallel())
    eight = run(jax.devices(), training.PLACEMENTS[placement]())
    kernel = eight.params["Conv_1"]["kernel"]
    assert len(kernel.sharding.device_set) == 8
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5),
        jax.device_get(one),
        jax.device_get(eight),
    )


def test_sigterm_saves_and_the_next_run_goes_on(tmp_path, whole):
    experiment = tiny.experiment()
    signalling = with_event(experiment, 4, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(training.Stopped, match="stopped at step 5, saved") as stopped:
        training.fit(signalling, tmp_path, shown=False)
    assert stopped.value.number == signal.SIGTERM
    assert (tmp_path / training.CHECKPOINTS / "5").is_dir()
    same_bits(training.fit(experiment, tmp_path, shown=False), whole[1])


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    def diverging(output, target):
        return tiny.mse(output, target) * np.float32(np.inf)

    learner = learners.augmented(
        learners.supervised(
            tiny.Net(), diverging, tiny.optax.sgd(1.0), inputs=("noisy",), target="image"
        ),
        tiny.noisy,
    )
    with pytest.raises(training.Diverged, match="expected a finite number at step 2"):
        training.fit(tiny.experiment(learner=learner), tmp_path, shown=False)
    assert not any((tmp_path / training.CHECKPOINTS).glob("[0-9]*"))


def test_data_that_is_not_as_promised_is_refused(tmp_path):
    wrong = dataclasses.replace(tiny.experiment(), example=tiny.experiment(batch_size=16).example)
    message = r"training batch: expected .*\(16, 8, 8\).*, got .*\(8, 8, 8\)"
    with pytest.raises(InputError, match=message):
        training.fit(wrong, tmp_path, shown=False)


def test_records_are_json_lines(whole):
    directory, _ = whole
    lines = (directory / "scalars.jsonl").read_text().splitlines()
    assert all("step" in json.loads(line) for line in lines)
    assert "validation/mse" in json.loads(lines[-1])
    assert list((directory / "tensorboard").glob("events.*"))


def test_the_split_and_what_was_skipped_are_kept_with_the_run(tmp_path):
    sides = {"train": {"samples": 3, "subjects": ["a"]}}
    experiment = dataclasses.replace(tiny.experiment(), assignment=lambda: sides, steps=2)

    def listed(host, hosts):
        iterator = iter(tiny.experiment().train(host=host, hosts=hosts))
        iterator.skipped = {"a.nii: expected a whole file, got a truncated one": 2}
        return iterator

    training.fit(dataclasses.replace(experiment, train=listed), tmp_path, shown=False)
    assert json.loads((tmp_path / "splits.json").read_text()) == sides
    assert list(json.loads((tmp_path / "skipped.json").read_text()).values()) == [2]
    other = dataclasses.replace(experiment, steps=4, assignment=lambda: {"train": {}})
    with pytest.raises(InputError, match=r"splits.json: expected the split that the run began"):
        training.fit(other, tmp_path, shown=False)
    assert json.loads((tmp_path / "splits.json").read_text()) == sides
