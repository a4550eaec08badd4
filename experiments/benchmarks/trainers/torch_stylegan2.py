"""StyleGAN2 in PyTorch, written from the paper (Karras et al. 2020, arXiv:1912.04958).

The same layers, and as many parameters, as `medjax.models.generative.stylegan2`. What differs
from it is how things are computed: filters are depthwise convolutions, and a modulated
convolution is either one in groups, with weights of each sample ("grouped", the paper's section
2.2), or an ordinary one of scaled inputs, whose outputs are scaled again.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

TAPS = (1.0, 3.0, 3.0, 1.0)


def activated(x):
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def resampled(x, up=1, down=1, padding=(0, 0)):
    """Zeros between, zeros around, filter, every so-manieth: the paper's appendix B."""
    batch, channels, height, width = x.shape
    if up > 1:
        x = x.reshape(batch, channels, height, 1, width, 1)
        x = F.pad(x, (0, up - 1, 0, 0, 0, up - 1))
        x = x.reshape(batch, channels, height * up, width * up)
    taps = torch.tensor(TAPS, dtype=x.dtype) * (up / sum(TAPS))
    kernel = torch.outer(taps, taps).expand(channels, 1, -1, -1)
    return F.conv2d(F.pad(x, padding * 2), kernel, stride=down, groups=channels)


class Dense(nn.Module):
    def __init__(self, inputs, features, bias=0.0, rate=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, inputs) / rate)
        self.bias = nn.Parameter(torch.full((features,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x):
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class Conv(nn.Module):
    def __init__(self, inputs, features, window=3, down=False, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, inputs, window, window))
        self.bias = nn.Parameter(torch.zeros(features)) if bias else None
        self.window, self.down = window, down
        self.scale = 1 / math.sqrt(inputs * window**2)

    def forward(self, x):
        weight = self.weight * self.scale
        if self.down and self.window == 1:
            return F.conv2d(resampled(x, down=2, padding=(1, 1)), weight, self.bias)
        if self.down:
            return F.conv2d(resampled(x, padding=(2, 2)), weight, self.bias, stride=2)
        return F.conv2d(x, weight, self.bias, padding=self.window // 2)


class ModulatedConv(nn.Module):
    def __init__(self, inputs, features, style, window=3, up=False, demodulate=True, grouped=False):
        super().__init__()
        self.affine = Dense(style, inputs, 1.0)
        self.weight = nn.Parameter(torch.randn(features, inputs, window, window))
        self.scale = 1 / math.sqrt(inputs * window**2)
        self.up, self.demodulate, self.grouped = up, demodulate, grouped

    def forward(self, x, latent):
        style, weight = self.affine(latent), self.weight * self.scale
        if self.grouped:
            return self.in_groups(x, style, weight)
        y = self.convolved(x * style[:, :, None, None], weight, 1)
        if self.demodulate:
            squares = weight.square().sum((2, 3))
            y = y * torch.rsqrt(style.square() @ squares.T + 1e-8)[:, :, None, None]
        return y

    def in_groups(self, x, style, weight):
        batch, inputs, height, width = x.shape
        weight = weight * style[:, None, :, None, None]
        if self.demodulate:
            norm = torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + 1e-8)
            weight = weight * norm
        weight = weight.flatten(0, 1)
        y = self.convolved(x.reshape(1, batch * inputs, height, width), weight, batch)
        return y.reshape(batch, -1, *y.shape[2:])

    def convolved(self, x, weight, groups):
        if not self.up:
            return F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=groups)
        features = weight.shape[0] // groups
        weight = weight.reshape(groups, features, *weight.shape[1:]).transpose(1, 2)
        y = F.conv_transpose2d(x, weight.flatten(0, 1), stride=2, groups=groups)
        return resampled(y, padding=(1, 1)) * 4


class Styled(nn.Module):
    def __init__(self, inputs, features, style, **options):
        super().__init__()
        self.conv = ModulatedConv(inputs, features, style, **options)
        self.noise = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x, latent):
        y = self.conv(x, latent)
        y = y + self.noise * torch.randn(y.shape[0], 1, *y.shape[2:])
        return activated(y + self.bias[None, :, None, None])


class Mapping(nn.Module):
    def __init__(self, layers, width):
        super().__init__()
        self.layers = nn.ModuleList(Dense(width, width, rate=0.01) for _ in range(layers))

    def forward(self, latent):
        x = latent * torch.rsqrt(latent.square().mean(-1, keepdim=True) + 1e-8)
        for layer in self.layers:
            x = activated(layer(x))
        return x


class Synthesis(nn.Module):
    def __init__(self, size, features, width, grouped):
        super().__init__()
        base = size >> (len(features) - 1)
        self.start = nn.Parameter(torch.randn(features[0], base, base))
        options = {"style": width, "grouped": grouped}
        pairs = list(itertools.pairwise(features))
        self.ups = nn.ModuleList(Styled(a, b, up=True, **options) for a, b in pairs)
        self.convs = nn.ModuleList(Styled(n, n, **options) for n in features)
        self.parts = nn.ModuleList(
            ModulatedConv(n, 1, window=1, demodulate=False, **options) for n in features
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(1)) for _ in features)

    def forward(self, styles):
        x, image, layer = self.start.repeat(styles.shape[0], 1, 1, 1), None, 0
        for level, conv in enumerate(self.convs):
            if level:
                x, layer = self.ups[level - 1](x, styles[:, layer]), layer + 1
            x, layer = conv(x, styles[:, layer]), layer + 1
            part = self.parts[level](x, styles[:, layer]) + self.biases[level]
            image = part if image is None else resampled(image, 2, padding=(2, 1)) + part
        return image


class Generator(nn.Module):
    def __init__(self, size, features, layers, width, grouped=False, mixing=0.9):
        super().__init__()
        self.mapping = Mapping(layers, width)
        self.synthesis = Synthesis(size, features, width, grouped)
        self.register_buffer("mean_style", torch.zeros(width))
        self.count, self.mixing = 2 * len(features), mixing

    def styles(self, latent):
        style, other = self.mapping(latent), self.mapping(torch.randn_like(latent))
        self.mean_style.lerp_(style.detach().mean(0), 1 - 0.995)
        batch = latent.shape[0]
        first = torch.randint(1, self.count, (batch,))
        first = torch.where(torch.rand(batch) < self.mixing, first, self.count)
        fine = torch.arange(self.count)[None] >= first[:, None]
        return torch.where(fine[..., None], other[:, None], style[:, None])

    def forward(self, latent):
        return self.synthesis(self.styles(latent))


class Discriminator(nn.Module):
    def __init__(self, size, features, group=4):
        super().__init__()
        pairs = list(itertools.pairwise(features))
        self.start = Conv(1, features[0], 1)
        self.skips = nn.ModuleList(Conv(a, b, 1, down=True, bias=False) for a, b in pairs)
        self.convs = nn.ModuleList(Conv(a, a) for a, _ in pairs)
        self.downs = nn.ModuleList(Conv(a, b, down=True) for a, b in pairs)
        width, left = features[-1], size >> len(pairs)
        self.last = Conv(width + 1, width)
        self.hidden, self.head = Dense(width * left**2, width), Dense(width, 1)
        self.group = group

    def forward(self, x):
        y = activated(self.start(x))
        for skip, conv, down in zip(self.skips, self.convs, self.downs, strict=True):
            y = (activated(down(activated(conv(y)))) + skip(y)) / math.sqrt(2)
        y = activated(self.last(self.with_deviation(y)))
        return self.head(activated(self.hidden(y.flatten(1))))

    def with_deviation(self, x):
        """Minibatch standard deviation (Karras et al. 2018, arXiv:1710.10196, section 3)."""
        batch, _, height, width = x.shape
        groups = x.reshape(self.group, batch // self.group, -1)
        deviation = torch.sqrt(groups.var(0, unbiased=False) + 1e-8).mean(-1)
        deviation = deviation.repeat(self.group)[:, None, None, None]
        return torch.cat([x, deviation.expand(-1, -1, height, width)], 1)
