import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage

from medjax.layers.sobel import SobelConv, sobel_kernels

KEY = jax.random.key(0, impl="philox2x32")


def test_there_are_four_directions_in_the_plane_as_edcnn_has_them():
    expected = [
        [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
        [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
        [[-2, -1, 0], [-1, 0, 1], [0, 1, 2]],
        [[0, 1, 2], [-1, 0, 1], [-2, -1, 0]],
    ]
    np.testing.assert_array_equal(sobel_kernels(2), expected)


def test_there_are_nine_in_space_the_first_as_scipy_has_them():
    kernels = sobel_kernels(3)
    assert kernels.shape == (9, 3, 3, 3)
    impulse = np.zeros((5, 5, 5))
    impulse[2, 2, 2] = 1
    for axis in range(3):
        answer = scipy.ndimage.sobel(impulse, axis)[1:4, 1:4, 1:4]
        np.testing.assert_allclose(np.flip(answer), kernels[axis])
    assert not kernels.reshape(9, -1).sum(1).any()


def test_channels_take_the_directions_by_turns_each_times_its_factor():
    ramp = jnp.broadcast_to(jnp.arange(6.0)[None, :, None, None], (1, 6, 5, 2))
    layer = SobelConv(6)
    variables = layer.init(KEY, ramp)
    factors = jnp.asarray([1.0, 1, 1, 1, 3, 1])
    params = {"factor": factors, "bias": variables["params"]["bias"].at[1].set(7.0)}
    inner = layer.apply({"params": params}, ramp)[0, 2, 2]
    # Two channels of slope one: 8 along the axis, 6 along both diagonals.
    np.testing.assert_allclose(inner, [16, 7, 12, -12, 48, 0], atol=1e-5)
