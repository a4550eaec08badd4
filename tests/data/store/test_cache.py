"""The shared cache: made once, shared, bounded, and gone afterwards."""

import os
import pickle
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from medjax.core.errors import InputError
from medjax.data.image import Image
from medjax.data.store import Store, Writer
from medjax.data.store.cache import SharedCache

ARRAY = np.arange(60, dtype=np.int16).reshape(3, 4, 5)

HOLD = """
import sys
import numpy as np
from medjax.data.store.cache import SharedCache
cache = SharedCache(sys.argv[2], 10**6, sys.argv[1])
array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
got = cache.get("k", array.shape, array.dtype, lambda: array)
print(int(got.sum()), flush=True)
sys.stdin.read()
"""


def hold(folder, name):
    """Another process that uses a cache until its standard input ends."""
    command = [sys.executable, "-c", HOLD, str(folder), name]
    process = subprocess.Popen(command, stdin=-1, stdout=-1, text=True)
    assert process.stdout.readline() == f"{ARRAY.sum()}\n"
    return process


def end(process):
    process.stdin.close()
    process.stdout.close()
    process.wait(30)


def never():
    raise AssertionError("made again")


def get(cache, key="k", make=lambda: ARRAY):
    return cache.get(key, ARRAY.shape, ARRAY.dtype, make)


def test_an_array_is_made_once_for_all_processes(tmp_path):
    other = hold(tmp_path, "n")
    cache = SharedCache("n", 10**6, tmp_path)
    np.testing.assert_array_equal(get(cache, make=never), ARRAY)
    end(other)
    assert cache.folder.is_dir()  # we are still there
    again = pickle.loads(pickle.dumps(cache))
    cache.close()
    np.testing.assert_array_equal(get(again, make=never), ARRAY)
    again.close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_cached_cannot_be_written_over(tmp_path):
    cache = SharedCache("n", 10**6, tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        get(cache)[0] = 1
    cache.close()


def test_the_budget_is_for_all_processes(tmp_path):
    other = hold(tmp_path, "n")
    cache = SharedCache("n", 2 * ARRAY.nbytes + 1, tmp_path)
    assert get(cache, "second") is not None
    assert get(cache, "third") is None
    assert get(cache, "third", never) is None
    assert get(cache, "second", never) is not None
    sizes = [p.stat().st_size for p in cache.folder.iterdir() if not p.name.startswith(".")]
    assert sizes == [ARRAY.nbytes] * 2
    end(other)
    cache.close()


def test_an_array_that_cannot_be_made_leaves_nothing(tmp_path):
    cache = SharedCache("n", ARRAY.nbytes, tmp_path)

    def failing():
        raise InputError("store", "no damage", "some")

    with pytest.raises(InputError, match="no damage"):
        get(cache, make=failing)
    assert get(cache) is not None  # and its bytes count no more
    cache.close()


def test_who_comes_second_does_not_wait(tmp_path):
    cache, making, done = SharedCache("n", 10**6, tmp_path), threading.Event(), threading.Event()

    def slow():
        making.set()
        done.wait(30)
        return ARRAY

    thread = threading.Thread(target=lambda: get(cache, make=slow))
    thread.start()
    making.wait(30)
    assert get(cache, make=never) is None
    done.set()
    thread.join()
    assert get(cache, make=never) is not None
    cache.close()


def test_what_a_killed_owner_left_is_removed(tmp_path):
    other = hold(tmp_path, "old")
    with SharedCacheIn(tmp_path):
        assert len(list(tmp_path.iterdir())) == 2
    os.kill(other.pid, signal.SIGKILL)
    end(other)
    assert len(list(tmp_path.iterdir())) == 1
    with SharedCacheIn(tmp_path) as cache:
        assert list(tmp_path.iterdir()) == [cache.folder]
    assert list(tmp_path.iterdir()) == []


class SharedCacheIn:
    def __init__(self, folder):
        self.cache = SharedCache("new", 10**6, folder)

    def __enter__(self):
        return self.cache

    def __exit__(self, *_):
        self.cache.close()


def test_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="a folder for a cache"):
        SharedCache("n", 10, tmp_path / "missing")


def test_a_store_with_too_small_a_cache_reads_on(tmp_path):
    writer = Writer(tmp_path / "s")
    for id in "ab":
        writer.write(id, {"image": Image(ARRAY, np.eye(4))}, subject=id)
    writer.finish()
    (tmp_path / "cache").mkdir()
    store = Store(tmp_path / "s", cache=ARRAY.nbytes + 10, cache_folder=tmp_path / "cache")
    for id in "abab":
        np.testing.assert_array_equal(store.read(id, "image"), ARRAY.astype(np.float32))
    (folder,) = (tmp_path / "cache").iterdir()
    assert sum(not p.name.startswith(".") for p in folder.iterdir()) == 1
    del store
    assert list((tmp_path / "cache").iterdir()) == []
