"""The suite's settings: at least as strict as users could ever set them.

Strict dtype and rank promotion, warnings as errors (pyproject.toml), eight CPU
devices, and every annotated shape in medjax checked at run time.

LLVM is told to do little, XLA to emit its kernels the older way, which compiles in half the time,
and not to divide a program among threads that other tests have: nearly all of the suite's time is
compilation of tiny programs. What XLA makes of a program, its fusions and its collectives, stays
as users have it. Traced programs make many objects, and little garbage to look for among them.
"""

import gc
import os

os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_force_host_platform_device_count=8 "
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")

import jax
import pytest
import typechecker

typechecker.install("medjax")

gc.freeze()
gc.set_threshold(50_000, 20, 20)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a file computes once, for all of its tests or for all of a case, one worker computes."""
    for item in items:
        case = item.callspec.params.get("name", "") if hasattr(item, "callspec") else ""
        item.add_marker(pytest.mark.xdist_group(f"{item.parent.nodeid} {case}"))
