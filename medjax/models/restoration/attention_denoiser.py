"""A U-Net that denoises with attention to places, to channels, and by the task."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float, Int
from medjax.layers.attention_gate import AttentionGate
from medjax.layers.blocks import ConvBlock
from medjax.layers.conv import Conv, ConvTranspose, require_image
from medjax.layers.norm import Norm
from medjax.layers.pad import cropped, padded
from medjax.layers.squeeze import SqueezeExcitation, over_image


class AttentionDenoiser(nn.Module):
    """U-Net with local, channel and task-adaptive attention, which predicts the noise.

    Reviews describe such a denoiser by these three words; it is built here of known parts and
    is no network of one paper. Local: skips go through the gates of Attention U-Net (Oktay et
    al. 2018, arXiv:1804.03999). Channel: squeeze-and-excitation after every block (Hu et al.
    2018, arXiv:1709.01507). Task-adaptive: a learned vector of the task, which may be the
    modality, the kind of noise or the dose, scales each channel after every block, by one plus
    what a dense layer makes of it (Perez et al. 2018, arXiv:1709.07871, without shifts).

    Attributes:
        features: channels of each level, finest first.
        tasks: number of tasks; 0 for none.
        embedding: channels of a task's vector.
        norm: see `medjax.layers.normalization`.
        residual: whether the input minus the network is returned; see `DnCNN`.
        dtype: of the computation. Parameters, the last layer and the output are float32.
    """

    features: tuple[int, ...] = (32, 64, 128, 256)
    tasks: int = 0
    embedding: int = 32
    norm: Norm = "none"
    residual: bool = True
    dtype: jnp.dtype | type = jnp.float32

    @nn.compact
    def __call__(
        self, x: Array, task: Int[Array, " batch"] | None = None, train: bool = False
    ) -> Float[Array, "batch *spatial channel"]:
        """Denoise a floating ``(batch, *spatial, channel)`` image, 2D or 3D, of any size.

        Args:
            x: image.
            task: of each sample, from 0; none where the network has no tasks.
            train: whether batch norm learns.

        Raises:
            InputError: for another rank or dtype, fewer than two levels, or tasks where there
                are none and the reverse.
        """
        require_image(x, type(self).__name__)
        levels, sizes = len(self.features), x.shape[1:-1]
        if levels < 2:
            raise InputError("features", "at least two levels", self.features)
        if (task is None) == bool(self.tasks):
            expected = f"one of {self.tasks} a sample" if self.tasks else "none"
            raise InputError("task", expected, None if task is None else task.dtype)
        told = None
        if task is not None:
            told = nn.silu(nn.Embed(self.tasks, self.embedding, name="tasks")(task))
        image, before = padded(x, [2 ** (levels - 1)] * len(sizes))

        def block(y: Array, level: int, name: str, stride: int = 1) -> Array:
            width = self.features[level]
            conv = ConvBlock(width, strides=stride, norm=self.norm, dtype=self.dtype, name=name)
            y = conv(y, train)
            hidden = max(4, width // 16)
            options = {"activation": nn.silu, "dtype": self.dtype}
            y = SqueezeExcitation(hidden, **options, name=f"{name}_channel")(y)
            if told is None:
                return y
            scale = nn.Dense(width, dtype=self.dtype, name=f"{name}_task")(told)
            return y * (1 + over_image(scale, y.ndim))

        y, skips = block(image, 0, "encoder0"), []
        for level in range(1, levels):
            skips.append(y)
            y = block(y, level, f"encoder{level}", 2)
        for level in reversed(range(levels - 1)):
            width = self.features[level]
            y = ConvTranspose(width, dtype=self.dtype, name=f"up{level}")(y)
            gate = AttentionGate(max(1, width // 2), self.dtype, name=f"gate{level}")
            y = block(jnp.concatenate([gate(skips.pop(), y), y], -1), level, f"decoder{level}")
        y = cropped(Conv(x.shape[-1], 1, name="head")(y), before, sizes)
        return x.astype(jnp.float32) - y if self.residual else y
