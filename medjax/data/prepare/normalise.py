"""Intensities on one scale: numbers are fitted to an image, then applied; both can be read.

What is applied is ``(clip(x, low, high) - shift) / scale``, so that the way back is
``y * scale + shift`` for all that was not clipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medjax.core.errors import InputError

METHODS = ("none", "zscore", "zscore-foreground", "percentile", "ct-window", "histogram")
PERCENTILES = (0.5, 99.5)

Numbers = dict[str, float | bool | None]


@dataclass(frozen=True)
class Normalisation:
    """How intensities are to be brought to one scale, channel by channel.

    Args:
        method: "none"; "zscore", to mean 0 and standard deviation 1; "zscore-foreground",
            the same for the voxels that are not 0, which alone are changed; "percentile",
            from 0 to 1 between the 0.5th and 99.5th percentile; "ct-window", from 0 to 1
            between two values; "histogram", to the standard histogram of a set (Nyul &
            Udupa 1999, Magn Reson Med 42:1072-1081).
        window: the two values of "ct-window", in Hounsfield units.

    Raises:
        InputError: for another method, or a window that is missing, empty or not asked for.
    """

    method: str = "none"
    window: tuple[float, float] | None = None

    def __post_init__(self):
        if self.method not in METHODS:
            raise InputError("normalise", f"one of {', '.join(METHODS)}", repr(self.method))
        if (self.method == "ct-window") != (self.window is not None):
            got = "none" if self.window is None else f"a window for {self.method}"
            raise InputError("normalise", "LOW HIGH after ct-window, and there only", got)
        if self.window is not None and not self.window[0] < self.window[1]:
            raise InputError("normalise", "LOW below HIGH", self.window)


def normalisation(words: Sequence[str]) -> Normalisation:
    """A normalisation as it is written on a command line: ``ct-window -160 240``.

    Raises:
        InputError: for words that do not say one.
    """
    method, *numbers = words or ["none"]
    try:
        window = tuple(float(number) for number in numbers)
    except ValueError:
        raise InputError("normalise", "numbers after the method", " ".join(numbers)) from None
    if len(window) not in (0, 2):
        raise InputError("normalise", "LOW HIGH after ct-window", f"{len(window)} numbers")
    return Normalisation(method, window or None)


def fit(what: object, array: np.ndarray, normalisation: Normalisation) -> Numbers:
    """The numbers that bring one channel to scale.

    Args:
        what: named in errors.
        array: its voxels, of any shape.
        normalisation: any but "none" and "histogram".

    Raises:
        InputError: naming ``what``, where all (foreground) voxels have one value.
    """
    method = normalisation.method
    if method == "ct-window":
        low, high = normalisation.window
        return {"low": low, "high": high, "shift": low, "scale": high - low, "foreground": False}
    foreground = method == "zscore-foreground"
    values = array[array != 0] if foreground else array
    if method == "percentile":
        low, high = (float(v) for v in np.percentile(values, PERCENTILES))
        shift, scale = low, high - low
    else:
        low = high = None
        shift, scale = mean_and_deviation(values)
    # Of a constant, float32 leaves a deviation of its own rounding.
    if not scale > 1e-6 * abs(shift):
        got = "foreground of one value" if foreground else "one value (nearly) everywhere"
        raise InputError(what, f"intensities that differ, for {method}", got)
    return {"low": low, "high": high, "shift": shift, "scale": scale, "foreground": foreground}


def apply(array: np.ndarray, numbers: Mapping[str, float | bool | None]) -> np.ndarray:
    """One channel on the scale that `fit` found; float32, in an array of its own."""
    out = array.astype(np.float32)
    if numbers["low"] is not None:
        np.clip(out, np.float32(numbers["low"]), np.float32(numbers["high"]), out=out)
    out -= np.float32(numbers["shift"])
    out /= np.float32(numbers["scale"])
    if numbers["foreground"]:
        out[array == 0] = 0
    return out


def landmark_values(what: object, array: np.ndarray) -> list[float]:
    """Percentiles of one channel's foreground, from which a standard histogram is learnt.

    Raises:
        InputError: naming ``what``, where they say nothing, the foreground being of one value.
    """
    from medjax.image.histogram import DECILES, percentile

    values = array[array != 0]
    found = percentile(values, DECILES) if values.size else np.zeros(len(DECILES))
    if not found[0] < found[-1]:
        raise InputError(what, "intensities that differ, for histogram", "foreground of one value")
    return [float(v) for v in found]


def standard_histogram(rows: Sequence[Sequence[float]]) -> list[float]:
    """Where `landmark_values` of a set of images lie on their common scale, 0 to 100."""
    from medjax.image.histogram import mean_landmarks

    return [float(v) for v in mean_landmarks(np.asarray(rows, np.float64)).values]


def to_standard(what: object, array: np.ndarray, landmarks: Sequence[float]) -> np.ndarray:
    """One channel's foreground on the standard histogram; float32, and 0 where it was 0."""
    from medjax.image.histogram import DECILES, Landmarks, standardise

    foreground = array != 0
    values = array[foreground].astype(np.float32)
    if not values.size or values.min() == values.max():
        raise InputError(what, "intensities that differ, for histogram", "foreground of one value")
    standard = Landmarks(np.asarray(DECILES), np.asarray(landmarks))
    out = np.zeros(array.shape, np.float32)
    out[foreground] = standardise(values, standard)
    return out


def mean_and_deviation(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation, summed in double precision; zeros for no values."""
    if not values.size:
        return 0.0, 0.0
    mean = float(values.mean(dtype=np.float64))
    away = np.subtract(values, np.float32(mean), dtype=np.float32)
    return mean, float(np.sqrt(np.square(away, out=away).mean(dtype=np.float64)))
