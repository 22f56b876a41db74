"""One autograd function around an emitted one: forward computes value and gradients, backward scales them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lossdsl.backend.compiled import UPSTREAM, Compiled, Ready, Run, upstream_of

Runner = Callable[[Ready], Any]


class Key(NamedTuple):
    """A kind of call."""

    wanted: tuple[str, ...]
    """The names of the wanted gradients."""
    logged: bool
    updates: bool
    """Whether states are updated."""
    through: tuple[str, ...] = ()
    """The logged terms whose gradients are wanted, where it is not those of the value."""


@dataclass(eq=False)
class Job:
    """What one call computes."""

    compiled: Compiled
    names: tuple[str, ...]
    """The spec's names of the tensors, in the order in which they are passed."""
    wanted: tuple[str, ...]
    """The names of those that need a gradient."""
    logged: bool
    updates: bool
    through: Runner
    in_blocks: Callable[[Key], Run] | None = None
    """Makes the function that runs in blocks, where large values are not to be held."""
    held: Callable[[Key, Mapping[str, Tensor]], None] | None = None
    """Says that gradients which are differentiated again hold large values."""
    traced: bool = False
    """Whether `in_blocks` is an operator inside of what torch.compile traces."""

    def __post_init__(self) -> None:
        self.late = self.compiled.per_item is not None
        """Whether gradients are computed in backward, for what comes from above is needed to compute them."""
        if self.wanted and not self.late:
            ready = self.compiled.gradients(self.wanted, logged=self.logged, updates=self.updates)
        else:
            ready = self.compiled.values(logged=self.logged, updates=self.updates)
        self.ready = ready
        self.run = self.through(ready)
        if self.in_blocks is not None:
            self.run = self.in_blocks(Key(() if self.late else self.wanted, self.logged, self.updates))
        self.later: Ready | None = None
        """What backward computes, where forward does not: torch.compile cannot trace how it is made."""
        if self.wanted and self.late:
            self.later = self.compiled.gradients(self.wanted, logged=False, updates=False)
        self.alone: Callable[..., tuple[Tensor, ...]] | None = None
        """The gradients alone, in blocks: what backward computes anew."""
        if self.in_blocks is not None and self.wanted:
            self.alone = self.in_blocks(Key(self.wanted, False, False))
        self.places = tuple(self.names.index(n) for n in self.wanted)
        self.order = tuple(self.names.index(n) for n in ready.function.arguments)
        self.straight = self.order == tuple(range(len(self.names)))
        """Whether the function takes all tensors, in the order in which they are passed."""
        places = (1 + self.wanted.index(n) if n in self.wanted else 0 for n in self.names)
        self.spread: Callable[[tuple[Tensor | None, ...]], tuple[Tensor | None, ...]] = itemgetter(0, *places)
        """From None and the gradients, what backward returns: for the job itself, and for each tensor."""
        # Traced code computes all gradients that could be asked for: those of logged terms would hold large values.
        self.terms = len(self.compiled.program.terms) if self.logged and not self.traced else 0
        """How many logged terms have gradients."""
        self.alike: list[bool] | None = None
        """Where all calls are alike: which gradients are their own memory, once that is known."""
        self.plain = False
        """Whether all of them are, and are such as their tensors want, on a CPU: then backward may hand them on."""

    def repeated(self, run: Any) -> Job:
        """The same for calls with tensors that are all alike, by a function that may count on that."""
        job = copy(self)
        job.run, job.alike = run, []
        return job

    def main(self, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The function of this job on all tensors of the call: with gradients at the end where they are wanted."""
        result = self.run(*[tensors[i] for i in self.order])
        return result if isinstance(result, tuple) else (result,)

    def call(self, ready: Ready, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Run an emitted function as it is, on the tensors it takes."""
        result = ready.run(*(tensors[n] for n in ready.function.arguments))
        return result if isinstance(result, tuple) else (result,)

    def values(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Values by plain torch operations, which autograd follows."""
        return self.call(self.compiled.values(logged=self.logged, updates=self.updates), tensors)

    def gradients(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """The gradients alone, differentiable once more."""
        ready = self.later or self.compiled.gradients(self.wanted, logged=False, updates=False)
        again = torch.is_grad_enabled()
        if again and self.held is not None:
            self.held(Key(self.wanted, False, False), tensors)
        if self.alone is not None and not again:
            return self.alone(*(tensors[n] for n in ready.function.arguments))[-len(self.wanted) :]
        return self.call(ready, tensors)[-len(self.wanted) :]

    def term_gradients(self, tensors: Mapping[str, Tensor], upstream: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The gradients of logged terms, for what comes in for some of them; without those that are 0."""
        terms = tuple(upstream)
        self._prepare(terms)
        wanted = self.compiled.through_terms(terms).moved(self.wanted)
        if not wanted:
            return {}
        ready = self.compiled.term_gradients(wanted, terms)
        given = {**tensors, **{upstream_of(n): g for n, g in upstream.items()}}
        if self.in_blocks is None:
            return dict(zip(wanted, self.call(ready, given), strict=True))
        run = self.in_blocks(Key(wanted, False, False, terms))
        return dict(zip(wanted, run(*(given[n] for n in ready.function.arguments)), strict=True))

    @torch._dynamo.assume_constant_result  # type: ignore[untyped-decorator]
    def _prepare(self, terms: tuple[str, ...]) -> bool:
        """Emit what `term_gradients` calls; torch.compile does not trace this."""
        wanted = self.compiled.through_terms(terms).moved(self.wanted)
        if wanted:
            self.compiled.term_gradients(wanted, terms)
        return True


def _named(job: Job, tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
    return dict(zip(job.names, tensors, strict=True))


class Fused(torch.autograd.Function):
    """Value and gradients in one pass.

    The first backward takes the gradients and scales them where they lie; a second one computes them again.
    """

    @staticmethod
    def forward(ctx: Any, job: Job, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.job = job
        ctx.set_materialize_grads(False)
        outputs = job.main(tensors)
        if job.late:
            ctx.save_for_backward(*tensors)
        else:
            count = len(job.wanted)
            outputs, gradients = outputs[:-count], outputs[-count:]
            kept = tuple(map(_stored, gradients, [tensors[i] for i in job.places]))
            if torch.compiler.is_compiling():
                ctx.save_for_backward(*tensors, *kept)
            else:
                ctx.save_for_backward(*tensors)
                ctx.owned = job.alike or _owned(kept, (*tensors, *outputs))
                ctx.gradients = kept
                ctx.dtypes = [tensors[i].dtype for i in job.places]
                if job.alike is not None:
                    job.alike = ctx.owned
                    same = all(g.dtype is dtype for g, dtype in zip(gradients, ctx.dtypes, strict=True))
                    job.plain = same and all(ctx.owned) and outputs[0].device.type == "cpu"
        if len(outputs) > 1:
            ctx.mark_non_differentiable(*outputs[1 + job.terms :])
        return outputs

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> tuple[Tensor | None, ...]:
        job: Job = ctx.job
        above = upstream[0]
        kept: tuple[Tensor, ...] | None = getattr(ctx, "gradients", None)
        if kept is not None and above is not None and len(upstream) == 1 and not torch.is_grad_enabled():
            ctx.gradients = None
            pairs = zip(_scaled(kept, ctx.owned, above), ctx.dtypes, strict=True)
            return job.spread((None, *[g if g.dtype is dtype else g.to(dtype) for g, dtype in pairs]))
        return general(ctx, job, upstream)


def general(ctx: Any, job: Job, upstream: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Backward with gradients that forward has not kept, or through logged terms, or to be derived once more."""
    saved = ctx.saved_tensors
    tensors = _named(job, saved[: len(job.names)])
    found: dict[str, Tensor] = {}
    if upstream[0] is not None:
        found = dict(zip(job.wanted, _gradients(ctx, job, tensors, saved, upstream[0]), strict=True))
    for name, gradient in _through_terms(job, tensors, upstream[1 : 1 + job.terms]).items():
        found[name] = found[name] + gradient if name in found else gradient
    cast = {n: g.to(tensors[n].dtype) for n, g in found.items()}
    return None, *(cast.get(n) for n in job.names)


def _gradients(
    ctx: Any, job: Job, tensors: Mapping[str, Tensor], saved: Sequence[Tensor], upstream: Tensor
) -> Sequence[Tensor]:
    if job.late:
        return job.gradients({**tensors, UPSTREAM: upstream})
    if torch.compiler.is_compiling() and not torch.is_grad_enabled():
        return [g * upstream for g in saved[len(job.names) :]]
    kept: tuple[Tensor, ...] | None = getattr(ctx, "gradients", None)
    if kept is None or torch.is_grad_enabled():
        return [g * upstream for g in job.gradients(tensors)]
    ctx.gradients = None
    return _scaled(kept, ctx.owned, upstream)


def _owned(gradients: Sequence[Tensor], others: Sequence[Tensor]) -> list[bool]:
    """Which gradients share their memory with nothing, so that backward may scale them where they lie.

    The code does not tell: a cast to the dtype that a tensor has, or an expansion to one place, gives the tensor itself.
    """
    places = [g.untyped_storage().data_ptr() for g in gradients]
    taken = {t.untyped_storage().data_ptr() for t in others}
    pairs = zip(gradients, places, strict=True)
    return [g.is_contiguous() and place not in taken and places.count(place) == 1 for g, place in pairs]


def _scaled(kept: Sequence[Tensor], owned: Sequence[bool], upstream: Tensor) -> list[Tensor]:
    """The gradients times what comes from above: mostly 1, which on a CPU is seen for nothing."""
    one = True in owned and upstream.device.type == "cpu" and upstream.item() == 1
    return [g * upstream if not own else g if one else g.mul_(upstream) for g, own in zip(kept, owned, strict=True)]


def _stored(gradient: Tensor, tensor: Tensor) -> Tensor:
    """A gradient as it is kept until backward: float16 would lose small ones before they are scaled."""
    return gradient.to(tensor.dtype) if tensor.dtype is torch.bfloat16 else gradient


def _through_terms(job: Job, tensors: Mapping[str, Tensor], upstream: Sequence[Tensor | None]) -> dict[str, Tensor]:
    """The gradients of the logged terms."""
    names = [t.name for t in job.compiled.program.terms]
    above = {n: g for n, g in zip(names, upstream, strict=False) if g is not None}
    if not above:
        return {}
    return _plain_gradients(job, tensors, above) if torch.is_grad_enabled() else job.term_gradients(tensors, above)


def _plain_gradients(job: Job, tensors: Mapping[str, Tensor], above: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same by plain autograd, to be derived once more."""
    values = job.values(tensors)[1 : 1 + job.terms]
    outputs = {t.name: o for t, o in zip(job.compiled.program.terms, values, strict=True) if o.requires_grad}
    pairs = [(outputs[n], g) for n, g in above.items() if n in outputs]
    if not pairs:
        return {}
    inputs = [tensors[n] for n in job.wanted]
    given = [g.to(o.dtype) for o, g in pairs]
    found = torch.autograd.grad([o for o, _ in pairs], inputs, given, allow_unused=True, create_graph=True)
    return {n: g for n, g in zip(job.wanted, found, strict=True) if g is not None}


class Transformed(torch.autograd.Function):
    """The same under `torch.func` and in forward mode: gradients are computed where they are asked for."""

    generate_vmap_rule = True

    @staticmethod
    def forward(job: Job, *tensors: Tensor) -> Tensor:
        return job.values(_named(job, tensors))[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        job, *tensors = inputs
        ctx.job = job
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        job: Job = ctx.job
        tensors = _named(job, ctx.saved_tensors)
        if job.compiled.per_item is not None:
            scaled = job.gradients({**tensors, UPSTREAM: upstream})
        else:
            scaled = tuple(g * upstream for g in job.gradients(tensors))
        found = {n: g.to(tensors[n].dtype) for n, g in zip(job.wanted, scaled, strict=True)}
        return None, *(found.get(n) for n in job.names)

    @staticmethod
    def jvp(ctx: Any, _job: None, *tangents: Tensor | None) -> Tensor:
        job: Job = ctx.job
        tensors = _named(job, ctx.saved_tensors)
        moved = dict(zip(job.names, tangents, strict=True))
        total: Tensor | None = None
        for name, gradient in zip(job.wanted, job.gradients(tensors), strict=True):
            tangent = moved[name]
            if tangent is not None:
                part = (gradient * tangent.to(gradient.dtype)).sum()
                total = part if total is None else total + part
        assert total is not None
        return total


def transformed() -> bool:
    """Whether a function transform or forward mode is at work."""
    return bool(torch._C._are_functorch_transforms_active()) or torch.autograd.forward_ad._current_level >= 0
