"""Complex-valued layers on real arrays.

An image of ``n`` complex channels is a real one of ``2 n``: the real parts, then the imaginary
parts, as Trabelsi et al. 2018 (arXiv:1705.09792) have it. So complex networks run in any
precision and on any device, and optimisers see real parameters.
"""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.arrays import with_rank
from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .bias import with_bias
from .conv import Size, convolve, per_axis, require_image
from .spread import biased

half_normal = nn.initializers.variance_scaling(1.0, "fan_in", "normal")
"""Of each part of a complex kernel: ``E |w|^2 = 2 / fan_in``, He's criterion. Trabelsi et al.
(section 3.6) draw a Rayleigh-distributed modulus and a uniform phase, which is what two
independent normal parts have."""


def crelu(x: Float[Array, "... parts"]) -> Float[Array, "... parts"]:
    """The rectifier of each part (Trabelsi et al. 2018, section 3.4)."""
    return nn.relu(x)


def halves(x: Array, who: str) -> tuple[Array, Array]:
    """Real and imaginary parts.

    Raises:
        InputError: for an odd number of channels.
    """
    if x.shape[-1] % 2:
        raise InputError(who, "channels of real, then of imaginary parts", x.shape)
    real, imaginary = jnp.split(x, 2, axis=-1)
    return real, imaginary


class ComplexConv(nn.Module):
    """Convolution by a complex kernel (Trabelsi et al. 2018, section 3.2); 2D or 3D by its input.

    One real convolution of both parts by the kernel ``[[a, b], [-b, a]]`` of ``a + i b``.

    Attributes:
        features: complex output channels.
        kernel_size: window along each axis.
        strides: step along each axis.
        use_bias: whether to add a learned complex constant a channel.
        dtype: of the computation and the output; parameters are float32.
        kernel_init: initialiser of each part of the kernel.
    """

    features: int
    kernel_size: Size = 3
    strides: Size = 1
    use_bias: bool = True
    dtype: jnp.dtype | type = jnp.float32
    kernel_init: nn.initializers.Initializer = half_normal

    @nn.compact
    def __call__(self, x: Array) -> Float[Array, "batch *spatial parts"]:
        """Apply to a floating image ``(batch, *spatial, 2 n)``.

        Raises:
            InputError: for another rank or dtype, or an odd number of channels.
        """
        require_image(x, type(self).__name__)
        inputs = halves(x, type(self).__name__)[0].shape[-1]
        shape = (*per_axis(self.kernel_size, x.ndim - 2, "kernel_size"), inputs, self.features)
        a = self.param("real", self.kernel_init, shape, jnp.float32)
        b = self.param("imaginary", self.kernel_init, shape, jnp.float32)
        rows = [jnp.concatenate(parts, axis=-1) for parts in ((a, b), (-b, a))]
        kernel = jnp.concatenate(rows, axis=-2).astype(self.dtype)
        y = convolve(x.astype(self.dtype), kernel, self.strides)
        return with_bias(self, y)


class ComplexBatchNorm(nn.Module):
    """Batch norm that whitens (Trabelsi et al. 2018, section 3.5).

    Each channel's two parts are multiplied by the inverse root of their 2 x 2 covariance, so
    that they have the same variance and no correlation, then by a learned symmetric matrix, and
    a learned constant is added. As in `medjax.layers.normalization`, statistics are float32
    and running ones move by a tenth.

    Attributes:
        epsilon: added to both variances.
    """

    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial parts"]:
        """Apply to a float32 image ``(batch, *spatial, 2 n)``.

        Args:
            x: image.
            train: the batch's statistics are used, and move the running ones.
        """
        channels = halves(x, type(self).__name__)[0].shape[-1]
        axes = tuple(range(x.ndim - 1))
        mean = self.variable("batch_stats", "mean", jnp.zeros, (2 * channels,))
        # Of the real parts, between both, of the imaginary parts.
        start = (jnp.full((channels,), 0.5), jnp.zeros((channels,)), jnp.full((channels,), 0.5))
        covariance = self.variable("batch_stats", "covariance", lambda: jnp.stack(start))
        if train:
            centre = x.mean(axes)
            a, b = halves(x - with_rank(centre, x.ndim), type(self).__name__)
            spread = jnp.stack([(u * v).mean(axes) for u, v in ((a, a), (a, b), (b, b))])
            if not self.is_initializing():
                for running, now in ((mean, centre), (covariance, spread)):
                    running.value = 0.9 * running.value + 0.1 * now
        else:
            centre, spread = mean.value, covariance.value
        a, b = halves(x - with_rank(centre, x.ndim), type(self).__name__)

        def mixed(a: Array, b: Array, aa: Array, ab: Array, bb: Array) -> tuple[Array, Array]:
            aa, ab, bb = (with_rank(m, x.ndim) for m in (aa, ab, bb))
            return aa * a + ab * b, ab * a + bb * b

        a, b = mixed(a, b, *inverse_root(spread + self._ridge()[:, None]))
        init = nn.initializers.constant(math.sqrt(0.5))
        names = ("scale_real", "scale_cross", "scale_imaginary")
        inits = (init, nn.initializers.zeros, init)
        scales = [
            self.param(name, init, (channels,), jnp.float32)
            for name, init in zip(names, inits, strict=True)
        ]
        y = jnp.concatenate(mixed(a, b, *scales), axis=-1)
        bias = self.param("bias", nn.initializers.zeros, (2 * channels,), jnp.float32)
        return biased(y, bias)

    def _ridge(self) -> Float[Array, "3"]:
        return jnp.asarray([self.epsilon, 0, self.epsilon], jnp.float32)


def inverse_root(matrix: Float[Array, "3 *n"]) -> Float[Array, "3 *n"]:
    """``M^(-1/2)`` of symmetric positive 2 x 2 matrices, by their entries ``(aa, ab, bb)``.

    The root is ``(M + s) / t`` with ``s = sqrt(det M)``, ``t = sqrt(trace M + 2 s)`` (Cayley and
    Hamilton), and its determinant is ``s``.
    """
    aa, ab, bb = matrix
    s = jnp.sqrt(jnp.maximum(aa * bb - ab**2, 0))
    scale = jax.lax.rsqrt(aa + bb + 2 * s) / s
    return jnp.stack([(bb + s) * scale, -ab * scale, (aa + s) * scale])
