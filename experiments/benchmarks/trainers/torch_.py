"""PyTorch: eager and compiled, in both layouts of memory, with fused Adam throughout.

DDPM's network is that of Hugging Face's diffusers; those of the GANs are beside this file.
"""

import diffusers
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from trainers import Run
from trainers.torch_cyclegan import patch_judge, translator
from trainers.torch_stylegan2 import Discriminator, Generator

VERSION = f"torch {torch.__version__}, diffusers {diffusers.__version__}"
LAYOUTS = ["eager", "eager, channels last", "compiled", "compiled, channels last"]
WAYS = {"ddpm": LAYOUTS, "cyclegan": LAYOUTS, "stylegan2": [*LAYOUTS, "eager, grouped"]}


def images(s, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(s["batch"], 1, s["size"], s["size"], generator=generator) - 1


def adam(parameters, rate, b1=0.9, b2=0.999):
    return torch.optim.Adam(parameters, rate, (b1, b2), fused=True)


def descend(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def diffusion(s, ready):
    levels = range(len(s["features"]))
    down, up = (
        tuple(f"{'Attn' * (level in s['attention'])}{way}Block2D" for level in order)
        for way, order in (("Down", levels), ("Up", reversed(levels)))
    )
    network = diffusers.UNet2DModel(
        sample_size=s["size"],
        in_channels=1,
        out_channels=1,
        freq_shift=0,
        flip_sin_to_cos=False,
        down_block_types=down,
        up_block_types=up,
        block_out_channels=tuple(s["features"]),
        layers_per_block=s["blocks"],
        attention_head_dim=s["head"],
        norm_num_groups=s["groups"],
        attn_norm_num_groups=s["groups"],
        resnet_time_scale_shift="scale_shift",
    )
    alphas = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)
    signal, spread = alphas.sqrt(), (1 - alphas).sqrt()
    optimizer, x0, apply = adam(network.parameters(), s["rate"]), images(s), ready(network)

    def step(number):
        time = torch.randint(0, 1000, (s["batch"],))
        noise = torch.randn_like(x0)
        scale = (a[time][:, None, None, None] for a in (signal, spread))
        x = next(scale) * x0 + next(scale) * noise
        descend(optimizer, F.mse_loss(apply(x, time).sample, noise))

    return step, {"network": network}


def style(s, ready, grouped):
    generator = Generator(s["size"], s["features"], s["layers"], s["width"], grouped)
    average = Generator(s["size"], s["features"], s["layers"], s["width"], grouped)
    average.load_state_dict(generator.state_dict())
    discriminator = Discriminator(s["size"], s["features"][::-1])
    optimizers = {}
    for player, every in ((generator, s["path_every"]), (discriminator, s["penalty_every"])):
        c = every / (every + 1)
        optimizers[player] = adam(player.parameters(), s["rate"] * c, 0.0, 0.99**c)
    real, length = images(s), torch.zeros(())
    slow, fast = (list(network.parameters()) for network in (average, generator))
    # Compiled functions cannot be differentiated twice: the lazy terms are always eager.
    make, judge = ready(generator), ready(discriminator)

    def latents():
        return torch.randn(s["batch"], s["width"])

    def penalty():
        images = real.detach().requires_grad_()
        (slope,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
        return slope.square().sum((1, 2, 3)).mean() / 2

    def path():
        styles = generator.styles(latents()[::2])
        images = generator.synthesis(styles)
        noise = torch.randn_like(images) / s["size"]
        (slope,) = torch.autograd.grad((images * noise).sum(), styles, create_graph=True)
        lengths = slope.square().sum(-1).mean(-1).sqrt()
        length.lerp_(lengths.detach().mean(), 0.01)
        return (lengths - length).square().mean()

    def step(number):
        with torch.no_grad():
            fake = make(latents())
        loss = (F.softplus(-judge(real)) + F.softplus(judge(fake))).mean()
        if number % s["penalty_every"] == 0:
            loss = loss + s["gamma"] * s["penalty_every"] * penalty()
        descend(optimizers[discriminator], loss)
        discriminator.requires_grad_(False)
        loss = F.softplus(-judge(make(latents()))).mean()
        if number % s["path_every"] == 0:
            loss = loss + 2 * s["path_every"] * path()
        descend(optimizers[generator], loss)
        discriminator.requires_grad_(True)
        with torch.no_grad():
            torch._foreach_lerp_(slow, fast, 1 - 0.999)

    return step, {"generator": generator, "discriminator": discriminator}


class Pool:
    """Former translations, half of which are shown in place of new ones (section 4)."""

    def __init__(self, size):
        self.size, self.images = size, []

    def exchanged(self, images):
        shown = []
        for image in images:
            if len(self.images) < self.size:
                self.images.append(image)
            elif torch.rand(()) < 0.5:
                place = torch.randint(0, self.size, ())
                image, self.images[place] = self.images[place], image
            shown.append(image)
        return torch.stack(shown)


def cycle(s, ready):
    generators = nn.ModuleList(translator(s["features"], s["blocks"]) for _ in range(2))
    judges = nn.ModuleList(patch_judge(s["judge"]) for _ in range(2))
    optimizers = [adam(part.parameters(), s["rate"], 0.5) for part in (generators, judges)]
    real = images(s), images(s, 1)
    pools = [Pool(s["pool"]) for _ in real]
    make, judge = ([ready(network) for network in part] for part in (generators, judges))

    def squares(logits, target):
        return (logits - target).square().mean() / 2

    def step(number):
        judges.requires_grad_(False)
        fake = make[0](real[1]), make[1](real[0])
        back = make[0](fake[1]), make[1](fake[0])
        loss = 0
        for side in range(2):
            loss = loss + squares(judge[side](fake[side]), 1)
            loss = loss + 10 * F.l1_loss(back[side], real[side])
            loss = loss + 5 * F.l1_loss(make[side](real[side]), real[side])
        descend(optimizers[0], loss)
        judges.requires_grad_(True)
        loss = 0
        for side in range(2):
            loss = loss + squares(judge[side](real[side]), 1)
            shown = pools[side].exchanged(fake[side].detach())
            loss = loss + squares(judge[side](shown), 0)
        descend(optimizers[1], loss)

    return step, {"generator": generators, "discriminator": judges}


class Counter(TorchDispatchMode):
    """PyTorch's own counter, which alone would stop at gradients of gradients."""

    total = 0.0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        count = flop_registry.get(function.overloadpacket)
        self.total += count(*args, **kwargs, out_val=result) if count else 0
        return result


MAKERS = {"ddpm": diffusion, "stylegan2": style, "cyclegan": cycle}


def prepare(work, way, settings):
    torch.manual_seed(0)
    torch.set_num_threads(settings["threads"])

    def ready(network):
        if "channels last" in way:
            network.to(memory_format=torch.channels_last)
        return torch.compile(network) if "compiled" in way else network

    options = {"grouped": "grouped" in way} if work == "stylegan2" else {}
    step, players = MAKERS[work](settings, ready, **options)
    counts = {name: sum(p.numel() for p in net.parameters()) for name, net in players.items()}
    flops = 0.0
    if "compiled" not in way:
        with Counter() as counter:
            step(0)
        flops = float(counter.total)
    return Run(step, counts, flops)
