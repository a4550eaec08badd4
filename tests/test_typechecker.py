"""The suite's own checker refuses what annotations do not allow."""

import dataclasses

import jax.numpy as jnp
import pytest
import typechecker
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float

from medjax.core.types import Array
from medjax.physics import fftc


def _added(x: Float[Array, " n"], y: Float[Array, " n"], scale: float = 1) -> Float[Array, " n"]:
    return scale * (x + y)


@dataclasses.dataclass
class Named:
    name: str


def test_sizes_agree_within_a_call_and_not_between_calls():
    added = typechecker.checked(_added)
    for n in (2, 3):
        assert added(jnp.ones(n), jnp.ones(n)).shape == (n,)
    with pytest.raises(BeartypeCallHintViolation):
        added(jnp.ones(2), jnp.ones(1))
    with pytest.raises(BeartypeCallHintViolation):
        added(jnp.ones(2), jnp.ones(2), "1")


def test_what_is_returned_and_what_is_kept_are_checked_too():
    def cut(x: Float[Array, " n"]) -> Float[Array, " n"]:
        return x[1:]

    with pytest.raises(BeartypeCallHintViolation):
        typechecker.checked(cut)(jnp.ones(2))
    with pytest.raises(BeartypeCallHintViolation):
        typechecker.checked(Named)(1)


def test_an_annotation_that_means_nothing_is_refused_and_an_unknown_name_is_not():
    def twice(x: 'Float[Array, "*a *b"]'):
        return x

    def of(x: "NamedElsewhere"):
        return x

    with pytest.raises(ValueError, match="more than once"):
        typechecker.checked(twice)
    assert typechecker.checked(of)(1) == 1


def test_the_package_is_checked():
    with pytest.raises(BeartypeCallHintViolation):
        fftc("image")
