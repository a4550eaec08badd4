"""Feed-forward parts of transformers that look at a token's neighbours too."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.types import Array, Float

from .conv import Conv
from .initialise import BRANCH
from .mlp import gelu


class GatedFeedForward(nn.Module):
    """Restormer's gated feed-forward (Zamir et al. 2022, arXiv:2111.09881, section 3.2).

    A product of channels makes two halves, a convolution of window 3 looks around, and the GELU
    of one half multiplies the other.

    Attributes:
        hidden: channels of each half.
        depthwise: whether the convolution is depthwise, as in the paper; where it is not, it
            is the one that Spach Transformer puts after it.
        use_bias: whether the convolutions have biases; the paper's have none.
        dtype: of the computation and the output; parameters are float32.
    """

    hidden: int
    depthwise: bool = True
    use_bias: bool = False
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channel"]
    ) -> Float[Array, "batch *spatial channel"]:
        """Apply to an image, 2D or 3D."""
        options = {"use_bias": self.use_bias, "dtype": self.dtype, "kernel_init": BRANCH}
        y = Conv(2 * self.hidden, 1, **options, name="up")(x)
        groups = 0 if self.depthwise else 1
        y = Conv(2 * self.hidden, 3, groups=groups, **options, name="around")(y)
        gate, y = jnp.split(y, 2, axis=-1)
        return Conv(x.shape[-1], 1, **options, name="down")(gelu(gate) * y)


class LocalFeedForward(nn.Module):
    """Uformer's locally enhanced feed-forward (Wang et al. 2022, arXiv:2106.03106, section 3.2).

    An MLP whose hidden channels go through a depthwise convolution of window 3, with a GELU
    after each of the first two layers.

    Attributes:
        hidden: channels between.
        dtype: of the computation and the output; parameters are float32.
    """

    hidden: int
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *spatial channel"]
    ) -> Float[Array, "batch *spatial channel"]:
        """Apply to an image of tokens, 2D or 3D."""
        options = {"dtype": self.dtype, "kernel_init": BRANCH}
        y = gelu(Conv(self.hidden, 1, **options, name="up")(x))
        y = gelu(Conv(self.hidden, 3, groups=0, **options, name="around")(y))
        return Conv(x.shape[-1], 1, **options, name="down")(y)
