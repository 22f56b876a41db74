"""The public functions: losses from the standard library, from files and from text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lossdsl import catalogue
from lossdsl.backend.compiled import Compiled, Recipe
from lossdsl.bind import Number, exact
from lossdsl.diagnostics import nearest
from lossdsl.module import LossModule

_REDUCTIONS = ("declared", "none", "sum")
_BACKENDS = (None, "inductor", "eager")


class Learned:
    """A hyperparameter that becomes a parameter, starting at a value."""

    def __init__(self, start: float | list[float] | Tensor) -> None:
        self.start = torch.as_tensor(start, dtype=torch.get_default_dtype())


def learned(start: float | list[float] | Tensor) -> Learned:
    """Make a hyperparameter a parameter of the module: `lossdsl.load("siglip", temperature=lossdsl.learned(0.1))`."""
    return Learned(start)


def load(name: str, **options: Any) -> LossModule:
    """A loss of the standard library (`focal`, `classification.focal`) or of a file (`mine.loss`, `mine.loss:total`).

    Options are those of `compile`, and hyperparameters by name.
    """
    path, loss, shown = _located(name)
    options.setdefault("name", loss)
    text = path.read_bytes().decode("utf-8")
    return _built(Recipe(text, shown, path), options)


def compile(text: str, **options: Any) -> LossModule:
    """A loss from text: one expression, or items with one loss.

    `name` picks one of several losses. `layout` says how tensors lie ({"logits": "B C H W"}), `reduction` is
    "declared", "none" or "sum", `backend` is "inductor" or "eager" where the choice by size is not wanted, and
    `validate=True` verifies values at each call. `memory_budget` is the bytes that a call may hold beside its inputs and
    their gradients: what is larger is computed in blocks. Everything else is a hyperparameter: a number, a list or
    tensor, `lossdsl.learned(x)`, or a function of the training step.
    """
    return _built(Recipe(text, "<text>"), options)


def _located(name: str) -> tuple[Path, str | None, str]:
    file, _, loss = name.partition(":")
    path = Path(file)
    if file.endswith(".loss"):
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {file}")
        return path, loss or None, file
    entry = catalogue.find(name)
    if entry is None:
        near = nearest(name.rpartition(".")[2], catalogue.names())
        advice = (
            f"did you mean `{near}`?" if near else "`lossdsl list` shows what there is; a file's name ends in .loss"
        )
        raise ValueError(f"the standard library has no loss `{name}`; {advice}")
    return entry.path.resolve(), entry.name, f"{name}.loss"


def _built(recipe: Recipe, options: dict[str, Any]) -> LossModule:
    if options.pop("shard", None) is not None:
        raise NotImplementedError("the option shard= is not there yet")
    name, layout = options.pop("name", None), options.pop("layout", None)
    backend, validate = options.pop("backend", None), options.pop("validate", False)
    reduction, budget = options.pop("reduction", "declared"), options.pop("memory_budget", None)
    _one_of("reduction", reduction, _REDUCTIONS)
    _one_of("backend", backend, _BACKENDS)
    numbers, kept, tensors, schedules = _sorted(options)
    whole = Recipe(recipe.text, recipe.shown, recipe.path, name, tuple(numbers.items()), tuple(kept.items()), reduction)
    compiled = Compiled(whole)
    return LossModule(
        compiled, tensors, schedules, layout=layout, backend=backend, validate=validate, memory_budget=budget
    )


def _one_of(option: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{option}= is one of {', '.join(repr(a) for a in allowed)}, not {value!r}")


def _sorted(
    hypers: Mapping[str, Any],
) -> tuple[dict[str, Number], dict[str, str], dict[str, Tensor], dict[str, Callable[[int], float]]]:
    """Hyperparameters by what becomes of them: constants, tensors, parameters, schedules."""
    numbers: dict[str, Number] = {}
    kept: dict[str, str] = {}
    tensors: dict[str, Tensor] = {}
    schedules: dict[str, Callable[[int], float]] = {}
    for name, value in hypers.items():
        if isinstance(value, Learned):
            kept[name], tensors[name] = "learn", value.start.clone()
        elif isinstance(value, bool | int | float):
            numbers[name] = exact(value, "real")
        elif callable(value):
            kept[name], tensors[name], schedules[name] = "hyper", torch.tensor(float(value(0))), value
        else:
            tensor = torch.as_tensor(value)
            if tensor.dim() == 0:
                numbers[name] = exact(tensor.item(), "real")
            else:
                kept[name], tensors[name] = "hyper", tensor.clone()
    return numbers, kept, tensors, schedules
