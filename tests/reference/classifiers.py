"""What the scripts for convolutional classifiers have in common: run a model, and store it."""

import json
from pathlib import Path

import numpy as np
import torch
from filling import state, uniform


def without_dropout(model: torch.nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if type(module).__name__ in ("StochasticDepth", "DropPath"):
            module.p = module.drop_prob = 0.0


def logits(output) -> tuple[np.ndarray, ...]:
    """Logits of the head, and of auxiliary ones in the order of their depth."""
    if isinstance(output, tuple):
        output = (output.logits, output.aux_logits1, output.aux_logits2)
        return tuple(o.numpy() for o in output if o is not None)
    return (output.numpy(),)


def case(name: str, model: torch.nn.Module, *shape: int) -> dict[str, np.ndarray]:
    """A model with `filling`'s weights: its shapes, its input's, and what it gives.

    Args:
        name: of the case.
        model: the original.
        shape: of the input, channels first.

    Returns:
        Under the case's name: ``shapes`` (JSON) and ``input_shape`` (channels last); ``eval``
        and ``train``, logits with running and with the batch's statistics; ``mean`` and
        ``var``, one number for each batch norm after that one step, in the order of the
        model's modules: the mean of its running mean and of its running variance.
    """
    shapes = {key: list(value.shape) for key, value in model.state_dict().items()}
    tensors = {key: torch.from_numpy(value) for key, value in state(shapes).items()}
    model.load_state_dict(tensors)
    without_dropout(model)
    channels_last = (shape[0], *shape[2:], shape[1])
    x = torch.from_numpy(np.moveaxis(uniform("input", channels_last), -1, 1).copy())
    with torch.no_grad():
        results = {
            "eval": logits(model.eval()(x))[0],
            **{f"train{i or ''}": y for i, y in enumerate(logits(model.train()(x)))},
        }
    for key, value in model.state_dict().items():
        if key.endswith("running_mean"):
            results.setdefault("running_mean", []).append(float(value.mean()))
    if "running_mean" in results:
        results["running_mean"] = np.float32(results["running_mean"])
    results |= {
        "shapes": np.array(json.dumps(shapes)),
        "input_shape": np.array(channels_last),
    }
    return {f"{name}/{key}": value for key, value in results.items()}


def save(script: str, *cases: dict[str, np.ndarray]) -> None:
    """Write the cases beside the script ``make_NAME.py``, as ``NAME.npz``."""
    path = Path(script).with_suffix(".npz")
    merged = {key: value for each in cases for key, value in each.items()}
    np.savez_compressed(path.with_name(path.name.removeprefix("make_")), **merged)
