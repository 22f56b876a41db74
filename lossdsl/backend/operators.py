"""Losses in blocks inside a surrounding torch.compile: operators that keep its tracer out of the blocks.

`lossdsl::loss` stands where a loss is traced that has values larger than all its inputs. It is made of other operators:
when its sizes are known it becomes plain torch code, which may be fused with what is around it, or `lossdsl::in_blocks`.
Symbolic sizes are taken as they are in the first call, without a guard; blocks are right for all sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from hashlib import sha256

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from lossdsl.backend.blocks import Runner
from lossdsl.backend.compiled import Run
from lossdsl.backend.likely import likely
from lossdsl.backend.streamed import Streamed
from lossdsl.graph import BOOL, INT, in_order

_DTYPES = {INT: torch.int64, BOOL: torch.bool}
_RUNNERS: dict[str, Runner] = {}
"""By what makes them: torch keeps compiled graphs from one process to the next, where a number would mean another loss."""


def traced(runner: Runner) -> Run:
    """The runner as a function that torch.compile can trace."""
    compiled = runner.blocks.compiled
    made_of = (compiled.recipe, runner.key, runner.budget, runner.backend)
    name = f"{compiled.program.name}_{sha256(repr(made_of).encode()).hexdigest()[:16]}"
    _RUNNERS.setdefault(name, runner)
    return partial(_through_operator, name)


def _through_operator(name: str, *tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.ops.lossdsl.loss(list(tensors), name))


def _loss(tensors: list[Tensor], name: str) -> list[Tensor]:
    """In one piece or in blocks, chosen by size."""
    runner = _RUNNERS[name]
    with _disable_current_modes():
        plan = runner.plan([likely(t) for t in tensors])
    if plan is None:
        return list(runner.whole(tensors))
    found: list[Tensor] = torch.ops.lossdsl.in_blocks(tensors, name)
    return found


def _in_blocks(tensors: list[Tensor], name: str) -> list[Tensor]:
    """What an operator returns is contiguous memory of its own, in the dtypes that were promised."""
    runner = _RUNNERS[name]
    dtypes = [dtype for _, dtype in _results(runner, tensors)]
    taken = {t.untyped_storage().data_ptr() for t in tensors}
    found: list[Tensor] = []
    for result, dtype in zip(runner(*tensors), dtypes, strict=True):
        own = result.to(dtype).contiguous()
        if own.untyped_storage().data_ptr() in taken:
            own = own.clone(memory_format=torch.contiguous_format)
        taken.add(own.untyped_storage().data_ptr())
        found.append(own)
    return found


def _imagined(tensors: list[Tensor], name: str) -> list[Tensor]:
    return [tensors[0].new_empty(shape, dtype=dtype) for shape, dtype in _results(_RUNNERS[name], tensors)]


def _results(runner: Runner, tensors: Sequence[Tensor]) -> list[tuple[list[int], torch.dtype]]:
    """The shapes and dtypes of what a call gives."""
    blocks, key = runner.blocks, runner.key
    made = blocks.made(key)
    assert isinstance(made, Streamed)
    given = dict(zip(made.arguments, tensors, strict=True))
    sizes, real = made.sizes(given), made.dtype(given)
    own = blocks.leaf_axes
    nodes = blocks.outputs(key)[1].items()
    laid = [(own[name] if name in own else in_order(node.axes), node.kind) for name, node in nodes]
    return [([sizes[a.root] for a in axes], _DTYPES.get(kind, real)) for axes, kind in laid]


_SCHEMA = "(Tensor[] tensors, str name) -> Tensor[]"
torch.library.define("lossdsl::loss", _SCHEMA)
torch.library.impl("lossdsl::loss", "CompositeImplicitAutograd", _loss)
torch.library.define("lossdsl::in_blocks", _SCHEMA)
torch.library.impl("lossdsl::in_blocks", "CompositeExplicitAutograd", _in_blocks)
torch.library.register_fake("lossdsl::in_blocks", _imagined)
