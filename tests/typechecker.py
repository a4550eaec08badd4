"""The run-time checker of annotations: beartype, with whole numbers accepted as floats.

`install` does what jaxtyping's import hook is for, with a decorator of its own. jaxtyping's makes
two functions of each, also of those that are defined anew in each trace, and checks arguments
twice; and what it cannot read (a bare ellipsis, two axes of any number) it takes for anything.
"""

import dataclasses
import functools
import types
import typing

import jaxtyping
from beartype import BeartypeConf, beartype

one_call = functools.partial(jaxtyping.jaxtyped, "context")
check = beartype(conf=BeartypeConf(is_pep484_tower=True))


def install(package: str) -> None:
    """Check all functions and dataclasses of a package that is imported from now on."""
    jaxtyping.install_import_hook(package, None)
    jaxtyping.jaxtyped = decorator  # what modules that come through the hook call


def decorator(*, typechecker: None):
    """What the hook puts on each function and class."""
    return checked


def checked(thing):
    """A function that refuses what its annotations do not allow; a dataclass likewise."""
    if isinstance(thing, types.FunctionType):
        return _function(thing)
    if isinstance(thing, property):
        return thing.getter(_function(thing.fget))
    if isinstance(thing, classmethod | staticmethod):
        return type(thing)(_function(thing.__func__))
    if dataclasses.is_dataclass(thing) and not hasattr(thing.__init__, "__wrapped__"):
        thing.__init__ = _function(thing.__init__)
    return thing


def _function(function):
    if not function.__annotations__:
        return function
    for name, hint in function.__annotations__.items():
        function.__annotations__[name] = _evaluated(hint, function.__globals__)
    inner = check(function)

    @functools.wraps(function)
    def run(*args, **kwargs):
        with one_call():  # sizes are named anew in each call
            return inner(*args, **kwargs)

    return run


def _evaluated(hint, names):
    """What an annotation stands for; anything, if it names what only type checkers import."""
    if not isinstance(hint, str):
        return hint
    holder = types.SimpleNamespace(__annotations__={"hint": hint})
    try:
        return typing.get_type_hints(holder, names, include_extras=True)["hint"]
    except NameError:
        return typing.Any
