"""The libraries that `augmentation.py` sets side by side, a file each.

An augmenter has ``VERSION``, ``WAYS`` (of using all cores, where there are several) and
``prepare(kind, work, way, data)``, which returns a function that augments some samples
and returns how many, or None where that way does no other work than one before it.
Compilation and the start of workers are not timed.
"""
