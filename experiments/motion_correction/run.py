"""Find the lines of k-space that motion spoilt, and do without them; or with their motion.

    python experiments/motion_correction/run.py [--data FOLDER] [--steps 400] [--seeds 2]

Repeats Cui et al. 2023 (PLoS ONE 18:e0278668) on small images: a network filters the
motion-corrupted image, lines whose k-space it changed much are taken as spoilt, and
compressed sensing makes the image from the others. Beside it stand its control, and the
motion estimated with the operator of a moving scan. README.md says what differs.

``--data`` takes a folder of NIfTI volumes, as of IXI, split by subject.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from correct import (
    WEIGHTS,
    aligned,
    detector,
    distances,
    features,
    sparse,
    sparse_moving,
    with_coils,
    with_detected,
)
from simulate import scan

from medjax import augment, data, learners, losses, metrics, models
from medjax.data import icbm152
from medjax.physics import Cartesian, birdcage, from_real_pair, ifftc, to_real_pair
from medjax.trust.figures import comparison, png
from medjax.trust.statistics import summarize

LEVELS = (0.35, 0.40, 0.45, 0.50)
MARGINS = (-0.4, -0.2, 0.0, 0.2, 0.4)  # of the detector, to choose from
COILS = 4


class Filter(nn.Module):
    """The network: a U-Net whose output is added to its input."""

    @nn.compact
    def __call__(self, x, train: bool = False):
        unet = models.UNet(2, features=(16, 32, 64, 128), norm="none")
        return from_real_pair(to_real_pair(x) + unet(to_real_pair(x), train))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of NIfTI volumes; default: ICBM 152")
    parser.add_argument("--size", type=int, nargs=2, default=(112, 120), help="rows and lines")
    parser.add_argument("--steps", type=int, default=400, help="of training")
    parser.add_argument("--seeds", type=int, default=2, help="networks to train")
    parser.add_argument(
        "--slices", type=int, default=6, help="of the test set, a scan each and level"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()

    start = time.monotonic()
    size = tuple(options.size)
    if options.data is None:
        splits = icbm152.splits(shape=size)
    else:
        files = data.discover(options.data, (".nii", ".nii.gz"))
        splits = data.by_group(data.ImageSlices(files, shape=size))
    validation, test = (held_out(part, options.slices) for part in (splits.validation, splits.test))

    weight = choose_weight(validation)
    per_method: dict[str, list] = {}
    for seed in range(options.seeds):
        network = train(splits.train, size, options.steps, seed)
        weights, margin = fit_detector(network, validation, weight)
        print(
            f"seed {seed}: trained and detector fitted, {time.monotonic() - start:.0f} s",
            flush=True,
        )
        one = evaluate(network, weights, margin, weight, test, estimate=seed == 0)
        for name, values in one.items():
            per_method.setdefault(name, []).append(values)
        print(f"seed {seed}: tested, {time.monotonic() - start:.0f} s", flush=True)
    coils = evaluate_coils(test[: options.slices // 2], weight)
    write(options, per_method, coils, time.monotonic() - start)


def held_out(source, count: int) -> list[jax.Array]:
    """At most so many slices, evenly through those that show something."""
    images = [source[i]["image"] for i in range(len(source))]
    shown = [image for image in images if image.mean() > 0.05]
    places = np.unique(np.linspace(0, len(shown) - 1, min(count, len(shown))).round().astype(int))
    return [jnp.asarray(shown[i]) for i in places]


_scan = jax.jit(scan)


def scans(images: list[jax.Array], level: float, seed: int, maps=None):
    keys = jax.random.split(
        jax.random.fold_in(jax.random.key(seed), round(100 * level)), len(images)
    )
    for key, image in zip(keys, images, strict=True):
        yield image, _scan(key, image, jnp.float32(level), maps)


def scores(image: jax.Array, truth: jax.Array) -> tuple[float, float]:
    pair = jnp.abs(image)[None], truth[None]
    return float(metrics.psnr(*pair)[0]), float(metrics.ssim(*pair)[0])


def choose_weight(images: list[jax.Array]) -> float:
    """The weight of compressed sensing with the best PSNR on clean lines."""

    def quality(weight: float) -> float:
        found = [
            scores(sparse(s.kspace, s.clean, weight), x)[0] for x, s in scans(images[::2], 0.35, 1)
        ]
        return float(np.mean(found))

    return max(WEIGHTS, key=quality)


def train(source, size, steps: int, seed: int):
    """A network that maps a corrupted image to the one without motion."""

    def simulate(key, batch):
        def one(key, image):
            level_key, scan_key = jax.random.split(key)
            s = scan(scan_key, image, jax.random.uniform(level_key, minval=0.3, maxval=0.6))
            return ifftc(s.kspace), s.target

        corrupted, target = jax.vmap(one)(augment.keyed(key, batch), batch["image"])
        return {**batch, "corrupted": corrupted, "target": target}

    schedule = optax.warmup_cosine_decay_schedule(0.0, 2e-3, min(50, steps // 10), steps, 2e-5)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
    learner = learners.supervised(
        Filter(), losses.rmse, optimizer, inputs=("corrupted",), target="target"
    )
    spatial = augment.deform(rotation=10, scale=0.1, translation=4)
    learner = learners.augmented(learner, augment.chain(augment.flip(-1), spatial, simulate))
    learner = learners.averaged(learner, 0.99)

    batches = iter(data.training(source, batch_size=4, seed=seed))
    key = jax.random.key(seed)
    state = jax.jit(learner.init)(key, next(batches))
    step = jax.jit(learner.step, donate_argnums=0)
    for number in range(steps):
        state, _ = step(state, next(batches), jax.random.fold_in(key, number))
    return jax.jit(lambda x: learner.predict(state, {"corrupted": x[None]})[0])


def fit_detector(network, images: list[jax.Array], weight: float) -> tuple[np.ndarray, float]:
    """The detector, and the margin with the best PSNR, both on the validation set."""
    found, seen = [], []
    for level in LEVELS:
        for image, s in scans(images, level, 1):
            distance = np.asarray(distances(s.kspace, network(ifftc(s.kspace))))
            found.append((distance, np.asarray(s.clean)))
            seen.append((image, s))
    weights = detector(np.stack([d for d, _ in found]), np.stack([c for _, c in found]))

    def quality(margin: float) -> float:
        values = []
        for (distance, _), (image, s) in list(zip(found, seen, strict=True))[::5]:
            lines = jnp.asarray(features(distance) @ weights > margin)
            values.append(scores(sparse(s.kspace, lines, weight), image)[0])
        return float(np.mean(values))

    return weights, max(MARGINS, key=quality)


def evaluate(network, weights, margin, weight, images, *, estimate: bool) -> dict[str, np.ndarray]:
    """``{"method|level": (slice, (PSNR, SSIM))}``; with ``estimate`` for every method."""
    table: dict[str, list] = {}
    figure = {}
    for level in LEVELS:
        for number, (image, s) in enumerate(scans(images, level, 2)):
            corrupted = ifftc(s.kspace)
            filtered = network(corrupted)
            distance = np.asarray(distances(s.kspace, filtered))
            lines = features(distance) @ weights > margin
            made = {
                "network alone": filtered,
                "detected lines, CS": sparse(s.kspace, jnp.asarray(lines), weight),
            }
            if estimate:
                made["corrupted"] = corrupted
                made["true clean lines, CS"] = sparse(s.kspace, s.clean, weight)
                made["estimated motion, CS"], known = with_detected(s.kspace, s.mask, lines, weight)
                made["true motion, CS"] = sparse_moving(s.kspace, s.mask, s.motion, weight)
                table.setdefault(f"known shots|{level}", []).append((known.mean(), 0.0))
            for name, result in made.items():
                table.setdefault(f"{name}|{level}", []).append(scores(result, image))
            clean = np.asarray(s.clean)
            rates = (lines & clean).sum() / clean.sum(), (lines & ~clean).sum() / (~clean).sum()
            table.setdefault(f"lines kept|{level}", []).append(rates)
            if estimate and level == LEVELS[0] and number == len(images) // 2:
                figure = {"truth": image, **made}
    result = {name: np.asarray(values) for name, values in table.items()}
    if figure:
        result["figure"] = {name: np.asarray(jnp.abs(image)) for name, image in figure.items()}
    return result


def evaluate_coils(images: list[jax.Array], weight: float) -> dict[str, np.ndarray]:
    """With several coils at the lowest level: no network, and no start from clean lines."""
    maps = birdcage(COILS, images[0].shape)
    table: dict[str, list] = {}
    for image, s in scans(images, LEVELS[0], 2, maps):
        made = {
            "corrupted": Cartesian(jnp.ones(image.shape[-1], bool), maps).H(s.kspace),
            "true clean lines, CS": sparse(s.kspace, s.clean, weight, maps),
            "estimated motion, CS": aligned(
                with_coils(s.kspace, s.mask, maps, weight)[0], s.target
            ),
            "true motion, CS": sparse_moving(s.kspace, s.mask, s.motion, weight, maps),
        }
        for name, result in made.items():
            table.setdefault(name, []).append(scores(result, image))
    return {name: np.asarray(values) for name, values in table.items()}


def write(options, seeds: dict[str, list], coils: dict[str, np.ndarray], seconds: float) -> None:
    """``results.json``, ``table.md`` and ``figure.png``."""
    pictures = seeds.pop("figure")[0]
    methods = list(dict.fromkeys(name.split("|")[0] for name in seeds))
    rows = {}
    for method in methods:
        rows[method] = {}
        for level in LEVELS:
            values = np.stack(seeds[f"{method}|{level}"])  # (seed, slice, 2)
            rows[method][str(level)] = [entry(values[..., column]) for column in (0, 1)]
    result = {
        "seconds": round(seconds),
        "versions": {"python": platform.python_version(), "jax": jax.__version__},
        "options": {k: str(v) for k, v in vars(options).items() if k != "out"},
        "one coil": rows,
        f"{COILS} coils, {LEVELS[0]}": {
            name: [entry(values[None, :, c]) for c in (0, 1)] for name, values in coils.items()
        },
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.json").write_text(json.dumps(result, indent=1) + "\n")
    heads = " | ".join(f"{level:.0%}" for level in LEVELS)
    lines = [f"| | {heads} |", "|---" * (len(LEVELS) + 1) + "|"]
    for method, cells in rows.items():
        cell = rates if method in ("lines kept", "known shots") else quality
        lines.append(f"| {method} | " + " | ".join(cell(*c) for c in cells.values()) + " |")
    lines += ["", f"| {COILS} coils, {LEVELS[0]:.0%} | |", "|---|---|"]
    lines += [f"| {n} | {quality(*c)} |" for n, c in list(result.values())[-1].items()]
    (options.out / "table.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines), f"\n{seconds:.0f} s")

    truth = pictures.pop("truth")
    shown = (
        "corrupted",
        "network alone",
        "detected lines, CS",
        "true clean lines, CS",
        "estimated motion, CS",
    )
    labels = {
        n: "{:.1f} dB / {:.3f}".format(*scores(pictures[n], jnp.asarray(truth))) for n in shown
    }
    drawn = comparison(truth, {n: pictures[n] for n in shown}, labels=labels, origin="lower")
    (options.out / "figure.png").write_bytes(png(drawn, dpi=80))


def entry(values: np.ndarray) -> dict[str, float]:
    """Mean and deviation over slices of the mean over seeds, and the range over seeds."""
    over = summarize(values.mean(0).astype(np.float64))
    each = values.mean(1)
    return {
        "mean": over.mean,
        "sd": over.sd,
        "low": float(each.min()),
        "high": float(each.max()),
        "seeds": len(each),
    }


def quality(psnr: dict[str, float], ssim: dict[str, float]) -> str:
    spread = f" [{psnr['low']:.2f}, {psnr['high']:.2f}]" if psnr["seeds"] > 1 else ""
    return f"{psnr['mean']:.2f} ± {psnr['sd']:.2f}{spread} / {ssim['mean']:.3f}"


def rates(first: dict[str, float], second: dict[str, float]) -> str:
    return (
        f"{first['mean']:.0%} / {second['mean']:.0%}" if second["mean"] else f"{first['mean']:.0%}"
    )


if __name__ == "__main__":
    main()
