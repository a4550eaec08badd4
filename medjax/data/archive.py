"""Patches of a prepared store without labels: what pretraining reads."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from medjax.core.errors import InputError


@dataclasses.dataclass(frozen=True)
class Archive:
    """A store that is opened when it is first needed, so that a config can do without it.

    Attributes:
        store: folder or URL, as ``medjax data prepare`` makes it; "" for none.
        size: voxels of a patch along each axis.
        each: patches of an image in an epoch.
        cache: GiB of memory for decoded images, once a host, whatever the workers.
    """

    store: str
    size: tuple[int, ...]
    each: int = 1
    cache: float = 0.0

    @functools.cached_property
    def source(self) -> Any:
        """The patches, `medjax.data.Patches`.

        Raises:
            InputError: where there is no store.
        """
        from .store import Store
        from .volumes import Patches

        if not self.store:
            raise InputError("--store", "a prepared store ('medjax data prepare')", "none")
        opened = Store(self.store, cache=int(self.cache * 2**30))
        return Patches(opened, self.size, label=None, foreground=0.0, per_volume=self.each)

    def channels(self, without: int) -> int:
        """Channels of the store's images, or ``without`` a store."""
        if not self.store:
            return without
        return max(1, len(self.source.cases[0].entries["image"].channels))

    def training(self, **options: Any) -> Callable[..., Any]:
        """A loader ``(host, hosts) -> batches`` for an experiment.

        Args:
            **options: of `medjax.data.training`.
        """
        from .pipeline import training

        return lambda host=0, hosts=1: training(self.source, **options, host=host, hosts=hosts)
