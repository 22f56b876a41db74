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
from torch.autograd import forward_ad

from lossdsl.backend.autograd import Fused, Job, general
from lossdsl.backend.inductor import Graphs
from lossdsl.backend.validate import Limits, check_index, limits
from lossdsl.graph import Axis

if TYPE_CHECKING:
    from lossdsl.module import LossModule


class Again(torch.autograd.Function):
    """`Fused` for calls whose gradients backward may hand on: what else it has to ask, calls before have answered."""

    @staticmethod
    def forward(ctx: Any, job: Job, *tensors: Tensor) -> Tensor:
        value: Tensor
        value, *ctx.gradients = job.run(*tensors) if job.straight else job.main(tensors)
        ctx.job = job
        ctx.save_for_backward(*tensors)
        return value

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        job: Job = ctx.job
        gradients: list[Tensor] | None = ctx.gradients
        ctx.gradients = None
        if gradients is None or _grad_enabled():
            return general(ctx, job, (upstream,))
        if upstream.item() != 1:
            for gradient in gradients:
                gradient.mul_(upstream)
        return job.spread((None, *gradients))


# Past what `apply` itself does for function transforms, under which no call is taken for one like before.
_apply = super(torch.autograd.Function, Fused).apply
_again = super(torch.autograd.Function, Again).apply

MOST = 64
"""Kinds of calls that a module remembers."""
Surroundings = tuple[object, ...]
# What is asked at each call, without the attributes and functions of torch on the way to it.
_transforms, _modes, _functions = (
    torch._C._are_functorch_transforms_active,
    torch._C._len_torch_dispatch_stack,
    torch._C._len_torch_function_stack,
)
_grad_enabled, _threads, _default_dtype, _deterministic = (
    torch.is_grad_enabled,
    torch.get_num_threads,
    torch.get_default_dtype,
    torch._C._get_deterministic_algorithms,
)
_PLAIN = (Tensor, torch.nn.Parameter)
_STRIDED = torch.strided


def surroundings(backend: str | None, budget: int | None) -> Surroundings | None:
    """All but its tensors that decides how a call runs; None where that is more than can be seen here."""
    if _transforms() or _modes() or _functions() or forward_ad._current_level >= 0:
        return None
    return backend, budget, _grad_enabled(), _threads(), _default_dtype(), _deterministic()


def kind_of_call(tensors: Sequence[Any], around: Surroundings | None) -> tuple[Any, ...] | None:
    """All that decides how a call runs, the data excepted; None where that is more than can be seen here."""
    if around is None:
        return None
    found: list[Any] = [around]
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
        value: Tensor
        job = self.job
        if job.plain:
            value = _again(job, *tensors)  # type: ignore[no-untyped-call]
        elif job.wanted:
            (value,) = _apply(job, *tensors)  # type: ignore[no-untyped-call]
        else:
            value = job.main(tensors)[0]
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
