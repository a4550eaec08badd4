"""The libraries that `loading.py` sets side by side, a file each.

A loader has ``VERSION``, a string, and ``WAYS``: names to functions that take the folder
of NIfTI files and a number of workers, and return an iterator without end of batches of
2 patches of 96^3 with their labels, image float32 and label as small integers, a third of
them about a voxel of the foreground. What is done once (caches filled, stores written) is
done before it returns.
"""
