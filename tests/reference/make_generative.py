"""Write generative.npz: metrics of sets of generated images as other libraries compute them.

    pip install torch==2.13.0 torchmetrics==1.8.2 prdc==0.2 pytorch-msssim==1.0.0 \
        scipy==1.17.0
    python tests/reference/make_generative.py

torch: the inception score's divergence. torchmetrics: Fréchet distance, polynomial MMD. prdc (of
the authors of density and coverage): precision, recall, density, coverage. pytorch-msssim:
MS-SSIM, in float64. SciPy: the Fréchet distance by the general matrix root, where it is well
defined, and Mann-Whitney's U.
"""

from pathlib import Path

import numpy as np
import prdc
import pytorch_msssim
import scipy
import torch
import torchmetrics
from scipy.linalg import sqrtm
from scipy.stats import mannwhitneyu
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

rng = np.random.default_rng(0)
mixing = rng.standard_normal((6, 6))
real = rng.standard_normal((40, 6)) @ mixing
generated = 0.9 * rng.standard_normal((30, 6)) @ mixing + 1.5
out = {"real": real, "generated": generated}

statistics = [(x.mean(axis=0), np.cov(x, rowvar=False)) for x in (real, generated)]
flat = [torch.tensor(a) for pair in statistics for a in pair]
out["frechet"] = float(_compute_fid(*flat))
(m1, c1), (m2, c2) = statistics
root = sqrtm(c1 @ c2).real
out["frechet_sqrtm"] = float(np.sum((m1 - m2) ** 2) + np.trace(c1 + c2 - 2 * root))

out["mmd"] = float(poly_mmd(torch.tensor(real[:30]), torch.tensor(generated)))

logits = 3 * rng.standard_normal((25, 4))
out["logits"] = logits
p = torch.tensor(logits).softmax(dim=1)
divergence = torch.nn.functional.kl_div(p.mean(dim=0).log().expand_as(p), p, reduction="batchmean")
out["inception"] = float(divergence.exp())

for k in (3, 5):
    for name, value in prdc.compute_prdc(real, generated, nearest_k=k).items():
        out[f"{name}_{k}"] = value

# Few grey values, so that the file stays small.
target = rng.integers(0, 4, (1, 176, 176))
prediction = np.where(rng.random(target.shape) < 0.3, rng.integers(0, 4, target.shape), target)
both = [torch.tensor(x[:, None] / 3) for x in (prediction, target)]
out["ms_ssim"] = pytorch_msssim.ms_ssim(*both, data_range=1.0, size_average=False).numpy()
out["prediction"], out["target"] = (x.astype(np.uint8) for x in (prediction, target))


def standardised(generated: np.ndarray, held_out: np.ndarray) -> float:
    """How much farther generated samples are than held-out ones, in standard deviations."""
    m, n = len(generated), len(held_out)
    larger = mannwhitneyu(generated, held_out, method="asymptotic").statistic
    return float((larger - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12))


distances = rng.random((2, 12)) ** 2
out["distances"] = distances
out["mann_whitney"] = standardised(distances[0], distances[1, :9])

out["versions"] = np.asarray(
    f"torch {torch.__version__}, torchmetrics {torchmetrics.__version__}, prdc 0.2, "
    f"pytorch-msssim 1.0.0, scipy {scipy.__version__}"
)
np.savez_compressed(Path(__file__).with_name("generative.npz"), **out)
