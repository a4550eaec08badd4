"""The suite's settings: at least as strict as users could ever set them.

Strict dtype and rank promotion, warnings as errors (pyproject.toml), eight CPU
devices, and every annotated shape in medjax checked at run time.
"""

import os
import pathlib

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")

import jax
from jaxtyping import install_import_hook

install_import_hook("medjax", "typechecker.check")

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Self-supervision is being built: not in the registries yet, and not in the suite, whose time
# it would double. Each of these runs by its name.
collect_ignore = [
    "augment/test_corrupt.py",
    "augment/test_views.py",
    "layers/test_attend.py",
    "layers/test_conv_norm.py",
    "layers/test_pool.py",
    "losses/test_contrastive.py",
    *(
        f"{folder}/{path.name}"
        for folder in (
            "learners/contrastive",
            "learners/predictive",
            "models/classifiers",
            "training/protocols",
        )
        for path in sorted((pathlib.Path(__file__).parent / folder).glob("test_*.py"))
    ),
]
