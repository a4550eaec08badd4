"""How kernels start that are neither He's nor LeCun's: those of branches, which are added."""

from __future__ import annotations

import flax.linen as nn

FAINT = nn.initializers.variance_scaling(0.01, "fan_in", "truncated_normal")
"""Of a branch's last kernel. The papers' networks start at zero, so that a block does nothing at
first; a tenth of the usual size does little, and lets all parameters learn in the first step."""

BRANCH = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""Of the convolutions in blocks without batch or group norm: PyTorch's default, by which
Restormer and its kin were made. With He's, each branch would outgrow what it is added to, and a
deep network would start far from any image."""
