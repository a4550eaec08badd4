"""Change what every module returns, from outside the network."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import flax.linen as nn
import jax

from medjax.core.types import Array


@contextlib.contextmanager
def changed_outputs(change: Callable[[Array], Array]) -> Iterator[None]:
    """Apply ``change`` to each array that any module's ``__call__`` returns in the block.

    It needs no access to the modules, only that they are called or traced here; also
    within scans and rematerialised parts.
    """

    def call(method, args, kwargs, context):
        output = method(*args, **kwargs)
        if context.method_name != "__call__":
            return output
        return jax.tree.map(lambda x: change(x) if isinstance(x, jax.Array) else x, output)

    with nn.intercept_methods(call):
        yield
