"""Calls like one before: what follows from the types, shapes and strides of tensors is found out once.

A small loss takes less time than looking at how it is called. So what the first call of a kind found is kept, and
later calls of that kind look at nothing but the data: that indices lie inside their axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lossdsl.backend.autograd import Fused, Job, transformed
from lossdsl.backend.inductor import Graphs
from lossdsl.backend.validate import Limits, check_index, limits
from lossdsl.graph import Axis

if TYPE_CHECKING:
    from lossdsl.module import LossModule

# Past what `apply` itself does for function transforms, under which no call is taken for one like before.
_apply = super(torch.autograd.Function, Fused).apply

MOST = 64
"""Kinds of calls that a module remembers."""
_PLAIN = (Tensor, torch.nn.Parameter)
_STRIDED = torch.strided


def kind_of_call(tensors: Sequence[Any], options: tuple[object, ...]) -> tuple[Any, ...] | None:
    """All that decides how a call runs, the data excepted; None where that is more than can be seen here."""
    if transformed() or torch._C._len_torch_dispatch_stack() or torch._C._len_torch_function_stack():
        return None
    found: list[Any] = [
        options,
        torch.is_grad_enabled(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
    ]
    for t in tensors:
        if type(t) not in _PLAIN or t.layout is not _STRIDED or t.is_neg():
            return None
        found.append((t.shape, t.stride(), t.dtype, t.device, t.requires_grad))
    return None if not tensors or torch.is_autocast_enabled(tensors[0].device.type) else tuple(found)


@dataclass(frozen=True)
class Repeat:
    """How a call of one kind runs."""

    name: str
    job: Job
    flattened: tuple[tuple[int, int, int], ...]
    """Packs: the place of the tensor, and the first and last dimension that become one."""
    indices: tuple[tuple[int, Limits], ...]
    """The indices that are looked at, and where they must lie."""

    def __call__(self, tensors: list[Tensor]) -> Tensor:
        for place, first, last in self.flattened:
            tensors[place] = tensors[place].flatten(first, last)
        for place, inside in self.indices:
            check_index(self.name, inside, tensors[place])
        if not self.job.wanted:
            return self.job.main(tensors)[0]
        value: Tensor = _apply(self.job, *tensors)[0]  # type: ignore[no-untyped-call]
        return value


def repeat(
    module: LossModule, job: Job, given: Mapping[str, Tensor], tensors: Mapping[str, Tensor], sizes: Mapping[Axis, int]
) -> Repeat:
    """What is kept of a call that went well; `given` are its tensors before packs were flattened."""
    # What inductor made is known after a call; with other kinds of calls between, it is another graph's.
    run = job.run
    if isinstance(run, Graphs):
        run = run.last or run
    elif _settled(tensors):
        run = job.ready.settled
    places = {name: place for place, name in enumerate(tensors)}
    packed = [(e, given[e.name].dim() - len(e.axes)) for e in module._layout.packed]
    return Repeat(
        module.name,
        job.repeated(run),
        tuple((places[e.name], e.pack, e.pack + spare) for e, spare in packed if spare and e.pack is not None),
        tuple((places[i.declared.name], i) for i in limits(module, tensors, sizes)),
    )


def _settled(tensors: Mapping[str, Tensor]) -> bool:
    """Whether no tensor needs a cast: real ones have one dtype, which is wide enough, and whole ones are int64."""
    dtypes = {t.dtype for t in tensors.values()} - {torch.bool, torch.int64}
    return len(dtypes) == 1 and dtypes <= {torch.float32, torch.float64}
