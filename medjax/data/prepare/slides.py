"""Whole slides, which go by regions and not by steps: each to an OME-Zarr of its own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from medjax.core.errors import InputError, MedjaxError
from medjax.core.progress import progress
from medjax.data.formats import ENDINGS
from medjax.data.store.layout import folder, get_json

from .steps import MEDIAN, Settings


def slides_in(source: Path) -> list[Path]:
    """The slides that a source is, or that lie in it; none where it holds no such file."""
    if _is_slide(source):
        return [source]
    return sorted(filter(_is_slide, source.iterdir())) if source.is_dir() else []


def prepare_slides(
    slides: list[Path],
    store: str | Path,
    settings: Settings,
    *,
    workers: int,
    on_error: str,
    shown: bool,
) -> tuple[int, int, dict[str, str]]:
    """Prepare each slide into ``STORE/NAME.zarr``, in bounded memory.

    Args:
        slides: files.
        store: a folder or URL.
        settings: of which only the spacing can be other than it is by itself.
        workers: threads.
        on_error: "stop" or "skip".
        shown: whether to show progress.

    Returns:
        How many were prepared and how many were there, and those skipped, with the reason.

    Raises:
        InputError: for other settings, slides of one name, and, unless it is to be
            skipped, for the first slide that cannot be prepared.
    """
    from medjax.data.slides.prepare import prepare_slide

    spacing = _micrometres(settings)
    if len({slide.stem for slide in slides}) < len(slides):
        raise InputError(slides[0].parent, "slides of different names", "two of one name")
    new, kept, skipped = 0, 0, {}
    with progress("preparing slides", len(slides), shown=shown) as update:
        for count, slide in enumerate(slides):
            target = f"{str(store).rstrip('/')}/{slide.stem}.zarr"
            update(count, slide.stem)
            there = get_json(folder(target), "zarr.json", what=target) is not None
            try:
                prepare_slide(slide, target, spacing=spacing, workers=max(workers, 1))
            except MedjaxError as error:
                if on_error == "stop":
                    raise
                skipped[slide.stem] = str(error)
            else:
                new, kept = new + (not there), kept + there
        update(len(slides))
    return new, kept, skipped


def _is_slide(path: Path) -> bool:
    """By its name: a slide in .tif is for `medjax.data.slides` itself."""
    return ENDINGS.get(path.suffix.lower()) == "slide" and path.is_file()


def _micrometres(settings: Settings) -> float | None:
    plain = dataclasses.replace(settings, spacing=None)
    if plain != Settings():
        raise InputError("settings", "for slides, a spacing alone", "others")
    if settings.spacing is None:
        return None
    if settings.spacing == MEDIAN or settings.spacing[0] != settings.spacing[1]:
        raise InputError("spacing", "for slides, one length in mm along x and y", settings.spacing)
    return 1000 * settings.spacing[0]
