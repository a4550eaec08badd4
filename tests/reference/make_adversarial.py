"""Write adversarial.npz: parts of GANs from the papers' formulas, by PyTorch.

    pip install torch==2.13.0 numpy
    python tests/reference/make_adversarial.py

Written from the formulas, in the plainest form that PyTorch has, in float64: weights of each
sample made one by one (StyleGAN2 eq. 1 and 3), FIR filters as dense convolutions of an image
with zeros put in, deviations by loops over groups, losses by PyTorch's cross-entropy, penalties
by its automatic derivatives, singular values by its SVD.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(0)
out = {}


def draw(name, *shape):
    """A random array, channels first as PyTorch has images; kept under a name."""
    out[name] = rng.standard_normal(shape)
    return torch.tensor(out[name])


def keep(name, value):
    out[name] = value.detach().numpy()


CONV = {2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {2: F.conv_transpose2d, 3: F.conv_transpose3d}


def fir(x, taps, up, down, before, after):
    """Zeros after each value, zeros around, true convolution, every down-th value."""
    n = x.ndim - 2
    taps = torch.tensor(taps) / sum(taps)
    kernel = taps
    for _ in range(n - 1):
        kernel = kernel[..., None] * taps
    kernel = kernel * up**n
    big = torch.zeros(*x.shape[:2], *(size * up for size in x.shape[2:]))
    big[(slice(None), slice(None), *[slice(None, None, up)] * n)] = x
    big = F.pad(big, [before, after] * n)
    channels = x.shape[1]
    kernel = kernel.flip(tuple(range(n)))[None, None].expand(channels, 1, *kernel.shape)
    return CONV[n](big, kernel, stride=down, groups=channels)


TAPS = [1.0, 3.0, 3.0, 1.0]
UNEVEN = [1.0, 2.0, 4.0]
for n, sizes in ((2, (4, 6)), (3, (3, 4, 5))):
    x = draw(f"fir{n}", 2, 3, *sizes)
    keep(f"fir{n}_up", fir(x, TAPS, 2, 1, 2, 1))
    keep(f"fir{n}_down", fir(x, TAPS, 1, 2, 1, 1))
    keep(f"fir{n}_uneven", fir(x, UNEVEN, 3, 2, 2, 1))

for n, sizes in ((2, (5, 6)), (3, (3, 4, 5))):
    x = draw(f"modulated{n}", 2, 3, *sizes)
    weight = draw(f"modulated{n}_weight", 4, 3, *(3,) * n)
    style = draw(f"modulated{n}_style", 2, 3)
    for demodulate in (True, False):
        plain, enlarged = [], []
        for one, s in zip(x, style, strict=True):
            w = weight * s.reshape(1, 3, *(1,) * n)
            if demodulate:
                norm = (w**2).sum(tuple(range(1, n + 2)), keepdim=True)
                w = w / (norm + 1e-8).sqrt()
            plain.append(CONV[n](one[None], w, padding=1))
            y = TRANSPOSED[n](one[None], w.transpose(0, 1), stride=2)
            enlarged.append(fir(y, TAPS, 1, 1, 1, 1) * 2**n)
        name = f"modulated{n}_{'demodulated' if demodulate else 'plain'}"
        keep(name, torch.cat(plain))
        keep(f"{name}_up", torch.cat(enlarged))

    down = draw(f"down{n}_weight", 4, 3, *(3,) * n) / np.sqrt(3 * 3**n)
    even = draw(f"down{n}", 2, 3, *(6,) * n)
    keep(f"down{n}_out", CONV[n](fir(even, TAPS, 1, 1, 2, 2), down, stride=2))
    kernel = draw(f"transposed{n}_weight", 3, 2, *(4, 3, 2)[:n])
    keep(f"transposed{n}", TRANSPOSED[n](x, kernel, stride=(2, 3, 1)[:n]))

x = draw("deviation", 6, 4, 2, 3)
maps = torch.empty(6, 2, 2, 3)
for start in range(2):  # samples 0, 2, 4 and samples 1, 3, 5
    members = x[start::2]
    deviation = (members.var(0, unbiased=False) + 1e-8).sqrt()
    for part in range(2):
        maps[start::2, part] = deviation[2 * part : 2 * part + 2].mean()
keep("deviation_out", torch.cat([x, maps], 1))

real, fake = draw("real", 5, 3), draw("fake", 5, 3)
ones, zeros = torch.ones_like(real), torch.zeros_like(real)


def bce(logits, target):
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(1)


mse = lambda x, t: ((x - t) ** 2).mean(1)  # noqa: E731
keep("non_saturating", torch.stack([bce(real, ones) + bce(fake, zeros), bce(fake, ones)]))
keep("least_squares", torch.stack([(mse(real, 1) + mse(fake, 0)) / 2, mse(fake, 1) / 2]))
keep("wasserstein", torch.stack([(fake - real).mean(1), -fake.mean(1)]))
margins = torch.clamp(1 - real, min=0) + torch.clamp(1 + fake, min=0)
keep("hinge", torch.stack([margins.mean(1), -fake.mean(1)]))
above, below = real - fake.mean(), fake - real.mean()
keep(
    "relativistic_average",
    torch.stack([bce(above, ones) + bce(below, zeros), bce(above, zeros) + bce(below, ones)]),
)

# A critic with a curved surface: a @ tanh(B x).
a, b = draw("critic_a", 4), draw("critic_b", 4, 6)
images, made, share = draw("images", 3, 6), draw("made", 3, 6), torch.tensor(rng.random(3))
keep("share", share)


def slopes(x):
    x = x.clone().requires_grad_()
    (g,) = torch.autograd.grad((torch.tanh(x @ b.T) @ a).sum(), x)
    return g


between = made + share[:, None] * (images - made)
keep("gradient_penalty", (slopes(between).norm(dim=1) - 1) ** 2)
keep("r1", (slopes(images) ** 2).sum(1) / 2)
keep("r2", (slopes(made) ** 2).sum(1) / 2)

matrix = draw("matrix", 7, 5)
keep("singular", torch.linalg.svdvals(matrix)[0])

out["versions"] = np.asarray(f"torch {torch.__version__}, numpy {np.__version__}")
np.savez_compressed(Path(__file__).with_name("adversarial.npz"), **out)
