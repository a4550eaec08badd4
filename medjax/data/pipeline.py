"""Batches: the samples of `medjax.data.order`, read by threads or workers, part by host.

The batches of any number of hosts, put one after the other, are the one-host batch bit
for bit, with any number of workers; and where an iterator stands is one number, which
means the same for any other number of hosts and workers.
"""

from __future__ import annotations

from collections.abc import Iterator

import grain
import numpy as np
from absl import flags

from medjax.core.errors import InputError, MedjaxError

from .order import InOrder, Mixed, Mixture, Shuffled, Transform
from .sources import Sample, Source

_READ = grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)
_ERRORS = "_errors"  # of a sample, on its way from a worker
_TEXT = 1000  # bytes of them


class _OfHost(grain.MapDataset):
    """One host's samples, in the order of its batches.

    Host h has the contiguous part h of every global batch of B samples: with
    b = B / hosts, its sample i is at place p = start + (i // b) * B + h * b + i % b.
    """

    def __init__(self, order: Shuffled | Mixed | InOrder, batches: Batches, start: int):
        super().__init__()
        self.order, self.start = order, start
        self.size, self.host, self.hosts = batches.batch_size, batches.host, batches.hosts

    def __len__(self) -> int:
        return -(-(len(self.order) - self.start) // self.size) * (self.size // self.hosts)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.slice(index)
        own = self.size // self.hosts
        batch, within = divmod(index, own)
        place = self.start + batch * self.size + self.host * own + within
        try:
            sample, errors = self.order[place]
            return {**_arrays(sample), _ERRORS: _packed(errors)}
        except MedjaxError:
            raise
        except Exception as error:
            # Grain waits for ever on a worker whose error cannot be pickled; this one can.
            reason = f"{type(error).__name__}: {error}"
            raise RuntimeError(f"reading the sample at place {place}: {reason}") from error


class Batches:
    """Batches to iterate over: dicts of arrays ``(batch_size // hosts, ...)``.

    Args:
        order: what is where.
        batch_size: over all hosts.
        workers: processes that read; 0 reads in threads of this one.
        host: which one this is.
        hosts: how many there are.

    Raises:
        InputError: for sizes that do not fit each other.
    """

    def __init__(
        self,
        order: Shuffled | Mixed | InOrder,
        *,
        batch_size: int,
        workers: int = 0,
        host: int = 0,
        hosts: int = 1,
    ):
        if batch_size < 1 or hosts < 1 or batch_size % hosts:
            expected = f"a positive multiple of the {hosts} hosts"
            raise InputError("batch_size", expected, batch_size)
        if not 0 <= host < hosts:
            raise InputError("host", f"a number in 0 to {hosts - 1}", host)
        if workers < 0:
            raise InputError("workers", "a number of at least 0", workers)
        self.order, self.batch_size, self.workers = order, batch_size, workers
        self.host, self.hosts = host, hosts

    def __iter__(self) -> BatchIterator:
        return BatchIterator(self)

    def after(self, place: int) -> grain.IterDataset:
        """Grain's dataset of the batches from a place on."""
        # Batched before it is dealt out to workers: whole batches go round, in turn.
        stream = _OfHost(self.order, self, place).batch(self.batch_size // self.hosts)
        dataset = stream.to_iter_dataset(_READ)
        if self.workers:
            if not flags.FLAGS.is_parsed():
                # Grain asks for one of its absl flags, which absl refuses until a main has
                # parsed them.
                flags.FLAGS.mark_as_parsed()
            options = grain.MultiprocessingOptions(num_workers=self.workers)
            dataset = dataset.mp_prefetch(options)
        return dataset


class BatchIterator(Iterator[Sample]):
    """An iterator that can say where it is, and go there.

    Attributes:
        skipped: errors of samples that were passed over, and how often each came.
    """

    def __init__(self, batches: Batches):
        self._batches, self._place = batches, 0
        self._iterator: grain.DatasetIterator | None = None
        self.skipped: dict[str, int] = {}

    def __next__(self) -> Sample:
        if self._iterator is None:
            self._iterator = iter(self._batches.after(self._place))
        batch = dict(next(self._iterator))
        for row in batch.pop(_ERRORS):
            for text in row.tobytes().rstrip(b"\0").decode(errors="replace").splitlines():
                self.skipped[text] = self.skipped.get(text, 0) + 1
        self._place += self._batches.batch_size
        return batch

    def get_state(self) -> dict[str, int]:
        """Where it is: the place of the next batch's first sample, for all hosts."""
        return {"place": self._place}

    def set_state(self, state: dict[str, int]) -> None:
        """Go to a place, whoever said it: any number of hosts and workers."""
        self.close()
        self._place = int(state["place"])

    def close(self) -> None:
        """End the workers."""
        if self._iterator is not None:
            self._iterator.close()
            self._iterator = None


def training(
    source: Source | Mixture,
    *,
    batch_size: int,
    seed: int = 0,
    transform: Transform | None = None,
    on_error: str = "raise",
    workers: int = 0,
    host: int = 0,
    hosts: int = 1,
) -> Batches:
    """Batches without end, in a new order each epoch.

    Args:
        source: any source, or several in proportions; pickled where there are workers.
            One with a method ``draw(index, rng)`` draws its samples (`RandomSource`).
        batch_size: over all hosts.
        seed: of order, drawing and transform.
        transform: ``(sample, rng) -> sample`` on the host, in a worker. What is
            heavy belongs on the device.
        on_error: "raise" what is wrong with a sample, or "skip" to the next one that
            is whole; the iterator's ``skipped`` says which and how often.
        workers: processes that read; 0 reads in threads of this one.
        host: this one's number.
        hosts: how many read together.

    Raises:
        InputError: for an empty source, or sizes that do not fit each other. Errors
            of the source come from the iterator as they were raised.
    """
    kind = Mixed if isinstance(source, Mixture) else Shuffled
    order = kind(source, seed=seed, transform=transform, skip=_skips(on_error))
    return Batches(order, batch_size=batch_size, workers=workers, host=host, hosts=hosts)


def evaluation(
    source: Source,
    *,
    batch_size: int,
    on_error: str = "raise",
    workers: int = 0,
    host: int = 0,
    hosts: int = 1,
) -> Batches:
    """Every sample once, in order, in batches of one size.

    The last batch is filled up with the last sample; the entry ``valid``, bool
    ``(batch,)``, is False there, and where a broken sample was skipped. All hosts get
    the same number of batches.

    Args:
        source: as for `training`, and so are the rest.

    Raises:
        InputError: as `training`.
    """
    order = InOrder(source, skip=_skips(on_error))
    return Batches(order, batch_size=batch_size, workers=workers, host=host, hosts=hosts)


def _skips(on_error: str) -> bool:
    if on_error not in ("raise", "skip"):
        raise InputError("on_error", "'raise' or 'skip'", repr(on_error))
    return on_error == "skip"


def _packed(errors: list[str]) -> np.ndarray:
    """Lines of text as bytes, which form batches."""
    text = "\n".join(errors).encode()[:_TEXT]
    return np.frombuffer(text.ljust(_TEXT, b"\0"), np.uint8)


def _arrays(sample: Sample) -> Sample:
    arrays = {name: np.asarray(value) for name, value in sample.items()}
    for name, value in arrays.items():
        if value.dtype.kind not in "biufc":
            raise InputError(f"sample[{name!r}]", "an array of numbers", f"dtype {value.dtype}")
    return arrays
