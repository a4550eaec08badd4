"""One function over many cases in processes that may die: each case's outcome by its place.

A pool of the standard library is lost as a whole when one of its processes is killed, and
does not say over what; here the case is known, and a new process takes up the work.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from medjax.core.errors import InputError, MedjaxError

Outcome = Any  # what the function returned, or the error that is about its case
_CONTEXT = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def outcomes(
    function: Callable[[Any], Any], items: Sequence[Any], names: Sequence[str], workers: int
) -> Iterator[tuple[int, Outcome]]:
    """Apply a function to every item, in processes, in whatever order they end.

    Args:
        function: can be pickled, as can the items and what comes of them.
        items: each goes to one process; a process has one at a time.
        names: of the items, for errors.
        workers: processes; 0 for none, in order.

    Yields:
        Place of the item, and what the function returned, or a `MedjaxError`: its own, or
        one that tells that the item's process was killed or had no memory or disk left.

    Raises:
        RuntimeError: with the worker's traceback, for any other error: a bug.
    """
    if not workers:
        for place, item in enumerate(items):
            yield place, _attempt(function, item, names[place])
        return
    waiting = list(range(len(items)))[::-1]
    crew = [_Worker(function) for _ in range(min(workers, len(items)))]
    try:
        while waiting or any(worker.place is not None for worker in crew):
            for worker in crew:
                if worker.place is None and waiting:
                    worker.give(waiting.pop(), items, names)
            busy = [worker for worker in crew if worker.place is not None]
            ready = wait([end for worker in busy for end in worker.ends])
            for worker in busy:
                if not set(worker.ends) & set(ready):
                    continue
                place, outcome = worker.take(names)
                if worker.lost:
                    crew[crew.index(worker)] = _Worker(function)
                if isinstance(outcome, _Bug):
                    raise RuntimeError(f"{names[place]}: {outcome.text}")
                yield place, outcome
    finally:
        for worker in crew:
            worker.stop()


class _Bug:
    """A traceback from a worker."""

    def __init__(self, text: str):
        self.text = text


class _Worker:
    """A process, and the place of the item that it has."""

    def __init__(self, function: Callable[[Any], Any]):
        self.pipe, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=_work, args=(theirs, function), daemon=True)
        self.process.start()
        theirs.close()  # or the end of the process would not be the end of the pipe
        self.place: int | None = None
        self.lost = False

    @property
    def ends(self) -> tuple[Connection, int]:
        """What to wait for: an answer, or the end of the process."""
        return self.pipe, self.process.sentinel

    def give(self, place: int, items: Sequence[Any], names: Sequence[str]) -> None:
        self.place = place
        try:
            self.pipe.send((items[place], names[place]))
        except OSError:  # it is dead, as `take` will tell
            self.lost = True

    def take(self, names: Sequence[str]) -> tuple[int, Outcome]:
        place, self.place = self.place, None
        try:
            if self.pipe.poll():  # an answer that came before the end still counts
                return place, self.pipe.recv()
        except (EOFError, OSError):
            pass
        self.lost = True
        self.process.join()
        code = self.process.exitcode or 0
        cause = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        expected = "its worker process to live (memory may be short: fewer --workers)"
        return place, InputError(names[place], expected, f"a worker ended by {cause}")

    def stop(self) -> None:
        if self.process.is_alive() and self.place is not None:
            self.process.terminate()
        self.pipe.close()  # which an idle one takes for the end
        self.process.join()
        self.process.close()


def _work(pipe: Connection, function: Callable[[Any], Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_die_with_parent, daemon=True).start()
    while True:
        try:
            item, name = pipe.recv()
        except EOFError:
            return
        pipe.send(_attempt_whole(function, item, name))


def _die_with_parent() -> None:
    # What a killed parent has begun anew must not be written by two.
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _attempt(function: Callable[[Any], Any], item: Any, name: str) -> Outcome:
    try:
        return function(item)
    except MedjaxError as error:
        return error
    except MemoryError:
        return InputError(name, "memory for its voxels", "none left")
    except OSError as error:
        return InputError(error.filename or name, "a file that works", error.strerror or "an error")


def _attempt_whole(function: Callable[[Any], Any], item: Any, name: str) -> Outcome:
    try:
        return _attempt(function, item, name)
    except Exception:
        return _Bug(traceback.format_exc())
