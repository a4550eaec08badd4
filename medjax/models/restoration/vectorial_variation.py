"""A network that finds noisy voxels, and vectorial total variation that fills them in."""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.conv import require_image
from medjax.physics.difference import FiniteDifference
from medjax.physics.solve.total_variation import dual_ball


class VectorialVariationFilter(nn.Module):
    """Trust in each voxel by a network, and the smoothest image that is true to the trusted ones.

    After Atal 2023 (doi:10.1007/s10278-022-00768-8), "Optimal deep CNN-based vectorial variation
    filter for medical image denoising", which chains a network that maps noisy pixels, their
    removal by an evolutionary optimiser ("feedback artificial lion"), and the vectorial total
    variation norm. As there: the map and the norm. What differs: there is one objective in
    place of the chain, ``sum of t (u - x)^2 / 2 + weight VTV(u)`` with ``t`` one minus the
    map (VTV of Bresson and Chan 2008, Inverse Probl Imaging 2:455); it is minimised by
    primal-dual steps (Chambolle and Pock 2011, J Math Imaging Vis 40:120), and map and weight
    learn by the gradient through them, so that there is no evolutionary optimiser.

    Attributes:
        noise_map: ``(image, train) -> logits`` of its shape, high where a value is not to be
            trusted, such as ``DnCNN(residual=False)``.
        steps: of the minimisation.
        initial_weight: of the norm before training, in the image's unit.
    """

    noise_map: nn.Module
    steps: int = 30
    initial_weight: float = 0.05

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Float[Array, "batch *spatial channel"]:
        """Denoise a floating ``(batch, *spatial, channel)`` image, 2D or 3D.

        Raises:
            InputError: for another rank or dtype, a weight that is not positive, or a map of
                another shape.
        """
        require_image(x, type(self).__name__)
        if not self.initial_weight > 0:
            raise InputError("initial_weight", "a positive number", self.initial_weight)
        logits = self.noise_map(x, train=train)
        if logits.shape != x.shape:
            raise InputError("noise_map", f"a network to {x.shape}", logits.shape)
        start = nn.initializers.constant(math.log(self.initial_weight))
        weight = jnp.exp(self.param("log_weight", start, (), jnp.float32))
        trust, image = (
            jnp.moveaxis(a.astype(jnp.float32), -1, 1) for a in (nn.sigmoid(-logits), x)
        )
        return jnp.moveaxis(smoothest(image, trust, weight, self.steps), 1, -1)


def smoothest(
    image: Float[Array, "batch channel *spatial"],
    trust: Float[Array, "batch channel *spatial"],
    weight: Float[Array, ""],
    steps: int,
) -> Float[Array, "batch channel *spatial"]:
    """The image of least ``sum of trust (u - image)^2 / 2 + weight VTV(u)``.

    Args:
        image: what is seen.
        trust: of each value, not negative; where it is zero the value is filled in.
        weight: positive.
        steps: so many are taken.
    """
    ndim = image.ndim - 2
    gradient = FiniteDifference(ndim)
    # Their product is one over the squared norm; untrusted values move by tau times the weight.
    tau, sigma = 1 / (weight * math.sqrt(4 * ndim)), weight / math.sqrt(4 * ndim)

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        u, ahead, dual = carry
        moved = dual + sigma * gradient(ahead)
        dual = dual_ball(moved, weight, coupled=True, ndim=ndim)
        pulled = u - tau * (gradient.H(dual) - trust * image)
        following = pulled / (1 + tau * trust)
        return (following, 2 * following - u, dual), None

    like = jax.eval_shape(gradient, image)
    start = (image, image, jnp.zeros(like.shape, like.dtype))
    return jax.lax.scan(step, start, None, length=steps)[0][0]
