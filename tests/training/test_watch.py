"""Rules find what they are for, and a run that stops for one goes on from there."""

import json

import jax.numpy as jnp
import pytest
import tiny

from medjax import training
from medjax.core.errors import InputError
from medjax.learners import Gradients, Learner, Phase, State
from medjax.training.watch import Watch, adversarial_rules, all_of, jumps, leaves


def records(**series):
    return [dict(zip(series, row, strict=True)) for row in zip(*series.values(), strict=True)]


def test_a_scalar_has_to_stay_outside():
    rule = leaves("x", low=0.0, high=1.0, records=3)
    assert rule(records(x=[2.0, 2.0])) == ""
    assert rule(records(x=[2.0, 1.0, 2.0])) == ""
    assert rule(records(x=[0.5, 2.0, 3.0, 2.0])) == "x is 2, above 1 for 3 records"
    assert rule(records(x=[-1.0] * 3)) == "x is -1, below 0 for 3 records"


def test_a_jump_is_against_the_median_before():
    rule = jumps("x", factor=10.0, records=3)
    assert rule(records(x=[1.0, 1.0, 100.0])) == ""
    assert rule(records(x=[1.0, 50.0, 1.0, 10.0])) == ""
    assert rule(records(x=[1.0, 50.0, 1.0, -11.0])) == "x is 11, usual were 1"
    assert rule(records(x=[0.0] * 4)) == ""


def test_all_of_some_is_nothing_where_one_finds_nothing():
    both = all_of(leaves("x", high=1, records=1), leaves("y", high=1, records=1))
    assert both(records(x=[2.0], y=[0.0])) == ""
    assert both(records(x=[2.0], y=[3.0])).count(" and ") == 1


def test_players_out_of_balance_are_found():
    def found(**changes):
        well = {"real_accuracy": 0.8, "fake_accuracy": 0.7}
        well |= {f"{side}_gradient_norm": 1.0 for side in ("generator", "discriminator")}
        seen = [well] * 3 + [{**well, **changes}] * 3
        return [text for text in (rule(seen) for rule in adversarial_rules(records=3)) if text]

    assert found() == []
    assert found(real_accuracy=1.0) == []
    (won,) = found(real_accuracy=1.0, fake_accuracy=1.0)
    assert "real_accuracy is 1, above 0.99" in won
    (vanished,) = found(generator_gradient_norm=0.0)
    assert "below 1e-07" in vanished
    seen = records(smooth=[1.0])
    with pytest.raises(InputError, match="rules: expected scalars among smooth, got smooth/real"):
        adversarial_rules(records=3, smooth=True)[0](seen)


def test_trouble_is_said_once_while_it_lasts():
    watch = Watch((leaves("x", high=1.0, records=1),))
    said = [len(watch({"x": value})) for value in (0.0, 2.0, 3.0, 0.0, 2.0)]
    assert said == [0, 1, 0, 0, 1]


def counting():
    """A learner whose loss is the number of steps before."""

    def gradients(state, batch, key):
        return Gradients({}, {}, {"loss": state.step.astype(jnp.float32)})

    def init(key, batch):
        return State(jnp.zeros((), jnp.int32), {}, {}, ())

    return Learner(init, (Phase(gradients, lambda state, _: state),), lambda state, batch: batch)


def suspicious(**changes):
    """A run whose loss is always too high; it is logged in every second step."""
    rules = (leaves("loss", high=0.0, records=3),)
    fields = {"learner": counting(), "evaluation": None, "checkpoint_every": 100, "rules": rules}
    return tiny.experiment(12, **fields, **changes)


def test_a_run_stops_saved_goes_on_and_may_be_let_go(tmp_path):
    with pytest.raises(training.Unstable, match="above 0 for 3 records at step 6, saved"):
        training.fit(suspicious(on_unstable="stop"), tmp_path, shown=False)
    assert (tmp_path / training.CHECKPOINTS / "6").is_dir()
    # Three records more, of this process, before the rule speaks again.
    with pytest.warns(training.UnstableWarning, match="step 12: loss is 11, above 0") as warned:
        state = training.fit(suspicious(), tmp_path, shown=False)
    assert (len(warned), int(state.step)) == (1, 12)
    written = json.loads((tmp_path / "unstable.json").read_text())
    assert [one["step"] for one in written] == [6, 12]


def test_a_run_may_ignore_and_only_write_it_down(tmp_path):
    state = training.fit(suspicious(on_unstable="ignore"), tmp_path, shown=False)
    assert int(state.step) == 12
    assert json.loads((tmp_path / "unstable.json").read_text()) == [
        {"step": 6, "found": "loss is 5, above 0 for 3 records"}
    ]


def test_refusals():
    with pytest.raises(InputError, match="on_unstable: expected one of warn, stop, ignore"):
        suspicious(on_unstable="hope")
    with pytest.raises(InputError, match="records: expected 1 to 99"):
        leaves("x", records=0)
    with pytest.raises(InputError, match="records: expected 1 to 99"):
        jumps("x", records=100)
