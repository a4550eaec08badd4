"""Pictures in a run's folder: whose they are, when, and that the film is of them."""

import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from PIL import Image

from medjax import training
from medjax.core.errors import InputError
from medjax.learners import Gradients, Learner, Phase, State
from medjax.training.samples import grid, write_film, write_picture


def test_a_grid_is_filled_row_by_row():
    images = np.arange(3, dtype=np.float32).reshape(3, 1, 1, 1) * np.ones((1, 2, 3, 1))
    got = grid(images - 1, window=(-1.0, 1.0))
    assert got.shape == (4, 6)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got[::2, ::3], [[0, 128], [255, 0]])
    one_row = grid(images - 1, window=(-1.0, 1.0), columns=3)
    np.testing.assert_array_equal(one_row[0, ::3], [0, 128, 255])
    odd = np.array([np.nan, np.inf, -np.inf, 5], np.float32).reshape(4, 1, 1, 1)
    np.testing.assert_array_equal(grid(odd, window=(0.0, 1.0)), [[0, 255], [0, 255]])


def test_volumes_show_their_middle_plane_and_colours_stay():
    volume = np.zeros((1, 3, 2, 2, 3), np.float32)
    volume[0, 1, 0, 1, 2] = 1
    got = grid(volume, window=(0.0, 1.0))
    assert got.shape == (2, 2, 3)
    assert got.sum() == got[0, 1, 2] == 255


def brightening():
    """A learner whose images are the batch's, a little brighter by each step."""

    def init(key, batch):
        return State(jnp.zeros((), jnp.int32), {}, {}, ())

    phase = Phase(lambda *_: Gradients({}, {}, {}), lambda state, _: state)
    predict = lambda state, batch: batch["dark"] + state.step / 10  # noqa: E731
    return Learner(init, (phase,), predict)


def test_a_run_draws_the_same_inputs_and_ends_with_a_film(tmp_path):
    dark = np.random.default_rng(0).random((3, 4, 4), np.float32) / 2
    samples = training.Samples(
        batch={"dark": dark}, every=2, view=lambda x: x[..., None], window=(0.0, 1.0), columns=3
    )
    experiment = tiny.experiment(5, learner=brightening(), evaluation=None, samples=samples)
    training.fit(experiment, tmp_path, shown=False)
    folder = tmp_path / "samples"
    steps = (2, 4, 5)
    names = [f"step_{step:06d}.png" for step in steps]
    assert sorted(path.name for path in folder.iterdir()) == ["film.gif", *names]
    with Image.open(folder / "film.gif") as film:
        assert film.n_frames == 3
        for frame, (step, name) in enumerate(zip(steps, names, strict=True)):
            picture = np.asarray(Image.open(folder / name))
            wanted = grid(dark[..., None] + step / 10, window=(0.0, 1.0), columns=3)
            np.testing.assert_allclose(picture.astype(int), wanted, atol=1)
            film.seek(frame)
            np.testing.assert_array_equal(np.asarray(film.convert("L")), picture)


def test_a_film_takes_two_pictures(tmp_path):
    write_picture(tmp_path, 10, np.zeros((4, 4), np.uint8))
    assert write_film(tmp_path) is None
    # By number, not by name: the seventh digit comes last.
    for step, value in ((1_000_000, 255), (999_999, 100)):
        write_picture(tmp_path, step, np.full((4, 4), value, np.uint8))
    with Image.open(write_film(tmp_path)) as film:
        film.seek(2)
        assert film.convert("L").getpixel((0, 0)) == 255


def test_refusals():
    batch = {"index": np.arange(2)}
    for changes in ({"every": 0}, {"columns": 0}, {"window": (1.0, 1.0)}):
        with pytest.raises(InputError, match=f"samples: {next(iter(changes))}"):
            training.Samples(batch=batch, **changes)
    for images in (np.zeros((2, 4, 4)), np.zeros((2, 4, 4, 2)), np.zeros((2, 4, 4, 1), complex)):
        with pytest.raises(InputError, match="of one channel or three"):
            grid(images, window=(0.0, 1.0))
