"""What ``medjax show --topology`` prints: the step, compiled for a slice of TPUs."""

from __future__ import annotations

from typing import Any


def print_ahead(console: Any, placed: Any, where: Any) -> None:
    """Compile the training step, then memory, operations, collectives and bounds of a chip."""
    from medjax.core.progress import progress
    from medjax.training.ahead import compile_ahead

    with progress(f"compiling for {where.name}", 1) as update:
        ahead = compile_ahead(placed, where)
        update(1)
    cost, chip = ahead.cost, where.chip
    chips = len(where.devices)
    console.print(f"\ntraining step compiled for {where.name}, {chips} chips; per chip and step:")
    fits = "fits" if ahead.fits else "does not fit"
    console.print(f"  memory           {ahead.bytes:>18,} bytes, {fits} into {chip.memory:,}")
    for name, size in ahead.memory.items():
        console.print(f"    {name:<14} {size:>18,} bytes")
    console.print(f"  operations       {cost.flops:>18,} of products, {_ms(cost.compute_seconds)}")
    console.print(f"  memory traffic   {cost.bytes:>18,} bytes, {_ms(cost.memory_seconds)}")
    total = sum(c.bytes for c in cost.collectives.values())
    console.print(f"  between chips    {total:>18,} bytes, {_ms(cost.collective_seconds)}")
    for name, found in cost.collectives.items():
        text = f"in {found.count:,}, {_ms(found.seconds)}"
        console.print(f"    {name:<14} {found.bytes:>18,} bytes {text}", soft_wrap=True)
    if cost.uncounted:
        console.print(f"  {cost.uncounted} loops of unknown length are counted as if run once")
    what, seconds = cost.bound
    console.print(f"  no step is faster than {_ms(seconds)}, by the peak of {what}")
    share = f"{100 * cost.collective_share:.1f} %"
    console.print(f"  collectives take {share} of a step in which nothing overlaps with them")


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms"
