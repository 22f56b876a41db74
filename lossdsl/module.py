"""The public module: a loss with its inputs, hyperparameters, parameters and buffers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from lossdsl.backend import choice
from lossdsl.backend.autograd import Fused, Job, Key, Transformed, transformed
from lossdsl.backend.blocks import Blocks, Runner
from lossdsl.backend.compiled import Compiled, Ready, Run
from lossdsl.backend.draws import draw
from lossdsl.backend.guards import Guard, InputError, expected
from lossdsl.backend.layout import Layout, flat
from lossdsl.backend.repeats import MOST, Repeat, kind_of_call, repeat, surroundings
from lossdsl.backend.report import Report, report
from lossdsl.backend.text import mangled
from lossdsl.backend.validate import check_indices, check_values, explain
from lossdsl.graph import BOOL, INT, Axis
from lossdsl.program import Declared

_DTYPES = {INT: torch.int64, BOOL: torch.bool}


_DETACHED = (
    "lossdsl: inside torch.compile the terms that `{}` logs carry no gradient, as it may run in blocks there. "
    "Train by its value, or take a backward through a term outside of torch.compile"
)
_DERIVED = ("_blocks", "_guard", "_layout", "_indexed", "_draws", "_states", "_expected", "_repeats")


class LossModule(nn.Module):
    """A compiled loss. Call it with its inputs, in declared order or by name.

    What the text draws at random may be given by name too, and is then not drawn.
    """

    generator: torch.Generator | None = None
    """Where `random` draws come from; torch's default generator where None."""

    def __init__(
        self,
        compiled: Compiled,
        tensors: Mapping[str, Tensor],
        schedules: Mapping[str, Callable[[int], float]],
        *,
        layout: Mapping[str, str] | None = None,
        backend: str | None = None,
        validate: bool = False,
        memory_budget: int | None = None,
    ) -> None:
        super().__init__()
        self.compiled = compiled
        self.schedules = dict(schedules)
        self.backend = backend
        self.memory_budget = memory_budget
        self.validate = validate
        self._written_layout = dict(layout or {})
        self._derive()
        self._held: dict[str, str] = {}
        self._unsized: set[str] = set()
        self._count = 0
        for declared in compiled.held:
            self._hold(declared, tensors.get(declared.name))
        self._counts = bool(self.schedules) or compiled.uses_step
        if self._counts:
            self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self._learners = tuple(compiled.learners)
        self._changes = compiled.changes
        self._jobs: dict[tuple[Any, ...], Job] = {}
        self._known: dict[tuple[Any, ...] | None, Repeat] = {}

    # What it is made of

    @property
    def name(self) -> str:
        return self.compiled.program.name

    @property
    def inputs(self) -> dict[str, str]:
        """The inputs in declared order, with their types."""
        return {e.name: e.type_text for e in self._guard.inputs}

    @property
    def hypers(self) -> dict[str, Any]:
        """The hyperparameters and their values."""
        values: dict[str, Any] = {}
        given = dict(self.compiled.recipe.hypers)
        for declared in self.compiled.written.hypers:
            if declared.name in self._held:
                values[declared.name] = getattr(self, self._held[declared.name])
            elif declared.name in given:
                values[declared.name] = _plain(given[declared.name])
            else:
                values[declared.name] = self.compiled.default(declared.name)
        return values

    @property
    def text(self) -> str:
        """The loss as it was written."""
        return self.compiled.written.span.text

    @property
    def source(self) -> str:
        """The loss as a plain torch file, below the text that it was made from: what `lossdsl compile` writes."""
        from lossdsl.backend.file import write_file

        return write_file(self.compiled.written, dict(self.compiled.recipe.hypers))

    @property
    def code(self) -> str:
        """The torch function that runs in training: value, logged terms and gradients."""
        return self.compiled.text

    def latex(self) -> str:
        """The loss as a formula."""
        from lossdsl.latex import latex

        return latex(self.compiled.written)

    def gradient(self, name: str) -> str:
        """The gradient by an input or parameter, in the language."""
        from lossdsl.show import formula

        if name not in self.compiled.learners:
            raise ValueError(
                f"`{self.name}` has no gradient by `{name}`; it has those by {', '.join(self.compiled.learners)}"
            )
        return formula(self.compiled.lowered.gradients[name])

    def reference(self, *args: Any, **kwargs: Any) -> Any:
        """The value by a naive float64 evaluation of the text."""
        from lossdsl.backend.referee import reference_value

        return reference_value(self, args, kwargs)

    def plan(self, *args: Tensor | Mapping[str, Sequence[int]], **kwargs: Tensor) -> Report:
        """How a call with these inputs would run: in one piece or in blocks, why, and what that takes.

        Instead of tensors it takes their shapes, `loss.plan({"hidden": (4096, 512), ...})`, and then allocates nothing.
        """
        shapes = args[0] if len(args) == 1 else None
        given = self._imagined(shapes) if isinstance(shapes, Mapping) else self._guard.bind(args, kwargs)
        tensors = self._layout.arranged(given)
        sizes = self._guard.check(tensors, ())
        tensors = self._layout.flattened(tensors)
        device = next(iter(tensors.values())).device
        for declared in (*self.compiled.held, *self._draws):
            shape = [sizes.get(a.root, 1) for a in declared.leaf.axes]
            tensors[declared.name] = torch.empty(shape, dtype=_DTYPES.get(declared.leaf.kind), device=device)
        if self._counts:
            tensors["step"] = torch.empty((), dtype=torch.int64, device=device)
        return report(self._blocks, tensors, Key(self._learners, False, False), self.memory_budget, self.backend)

    def _imagined(self, shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
        """Tensors of some shapes that hold nothing."""
        kinds = {e.name: e.kind for e in self._guard.inputs}
        empty = {
            n: torch.empty(tuple(s), dtype=_DTYPES.get(kinds.get(n, "")), device="meta") for n, s in shapes.items()
        }
        return self._guard.bind((), empty)

    def extra_repr(self) -> str:
        return ", ".join([self.name, *(f"{n}: {t}" for n, t in self.inputs.items())])

    # Parameters and buffers

    def _hold(self, declared: Declared, given: Tensor | None) -> None:
        """Register the tensor of a declaration, to be sized at the first call where its axes are not known yet."""
        attribute = mangled(declared.name)
        while hasattr(self, attribute):
            attribute += "_"
        self._held[declared.name] = attribute
        start = given if given is not None else self.compiled.start(declared, {})
        if start is not None and declared.leaf.kind not in _DTYPES:
            start = start.to(torch.get_default_dtype())
        if declared.role == "learn":
            parameter: Any = nn.Parameter(start) if start is not None else UninitializedParameter()
            self.register_parameter(attribute, parameter)
        else:
            # Until its size is known a buffer is an empty tensor, which has a dtype and can be copied and moved.
            buffer = start if start is not None else torch.empty(0, dtype=_DTYPES.get(declared.leaf.kind))
            self.register_buffer(attribute, buffer, persistent=declared.role == "state")
        if start is None:
            self._unsized.add(declared.name)

    @property
    def held(self) -> dict[str, Tensor]:
        """Parameters and buffers by the spec's names; those that have no size before the first call are left out."""
        return {n: getattr(self, a) for n, a in self._held.items() if n not in self._unsized}

    def _materialise(self, sizes: Mapping[Axis, int], device: torch.device) -> None:
        """Give tensors whose sizes were not known their first values."""
        for name in sorted(self._unsized):
            tensor = getattr(self, self._held[name])
            start = self.compiled.start(self.compiled.declared(name), sizes)
            assert start is not None
            self._resize(name, start.shape, tensor.dtype, device)
            with torch.no_grad():
                getattr(self, self._held[name]).copy_(start)
        self._unsized.clear()

    def _resize(self, name: str, shape: torch.Size, dtype: torch.dtype, device: torch.device | None = None) -> None:
        tensor = getattr(self, self._held[name])
        if isinstance(tensor, UninitializedParameter):
            tensor.materialize(shape, device=device, dtype=dtype)
        else:
            setattr(self, self._held[name], torch.empty(shape, dtype=dtype, device=device or tensor.device))

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """What has no size yet has no value to save."""
        tables: tuple[dict[str, Any], ...] = (self._parameters, self._buffers)
        attributes = [self._held[name] for name in self._unsized]
        hidden = [(table, a, table[a]) for table in tables for a in attributes if a in table]
        for table, attribute, _ in hidden:
            table[attribute] = None
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for table, attribute, tensor in hidden:
            table[attribute] = tensor

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        metadata: Any,
        strict: bool,
        missing: list[str],
        unexpected: list[str],
        errors: list[str],
    ) -> None:
        """Tensors that are not sized yet take the sizes of what is loaded, or go on waiting."""
        for name in sorted(self._unsized):
            loaded = state_dict.get(prefix + self._held[name])
            if loaded is not None:
                self._resize(name, loaded.shape, loaded.dtype)
                self._unsized.discard(name)
        waiting = {prefix + self._held[name] for name in self._unsized}
        lacking: list[str] = []
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, lacking, unexpected, errors)
        missing += [key for key in lacking if key not in waiting]
        if prefix + "step" in state_dict:
            self._count = int(state_dict[prefix + "step"])

    # Calls

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        if kwargs or self.validate or self._unsized or not self._repeats or torch.compiler.is_compiling():
            return self._evaluated(args, kwargs, logged=self.validate)[0]
        tensors = [*args, *[getattr(self, attribute) for attribute in self._held.values()]]
        kind = kind_of_call(tensors, surroundings(self.backend, self.memory_budget))
        known = self._known.get(kind)
        return known(tensors) if known is not None else self._evaluated(args, kwargs, logged=False, kind=kind)[0]

    def with_terms(self, *args: Any, **kwargs: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The value, and the terms and metrics by name."""
        value, logged = self._evaluated(args, kwargs, logged=True)
        return value, logged

    def _evaluated(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], *, logged: bool, kind: tuple[Any, ...] | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        drawn = {d.name: kwargs[d.name] for d in self._draws if d.name in kwargs}
        named = {name: value for name, value in kwargs.items() if name not in drawn}
        given = self._layout.arranged(self._guard.bind(args, named))
        tensors, sizes = self._complete(given, drawn)
        job = self._job(tensors, logged=logged, sizes=sizes)
        outputs = self._run(job, tensors)
        if kind is not None and job.in_blocks is None:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[kind] = repeat(self, job, given, tensors, sizes)
        value = self._restored(outputs[0], given)
        program = self.compiled.program
        names = [n.name for n in (*program.terms, *program.metrics)] if logged else []
        found = dict(zip(names, outputs[1:], strict=False))
        if job.updates:
            self._update(outputs[1 + len(names) :])
        if self._counts and self.training:
            self._advance()
        if self.validate:
            explain(self, value, found, tensors)
        return value, found

    def _restored(self, value: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        if self.compiled.per_item is None:
            return value
        return self._layout.restored(value, self.compiled.per_item, self._layout.packs(given))

    def _complete(
        self, tensors: dict[str, Tensor], drawn: Mapping[str, Tensor] | None = None
    ) -> tuple[dict[str, Tensor], dict[Axis, int]]:
        """The tensors of a call with those the module holds and draws, checked and flattened."""
        held, drawn = self.held, drawn or {}
        sizes = self._guard.check(tensors, [(self._expected[n], t) for n, t in (*held.items(), *drawn.items())])
        first = next(iter(tensors.values()), None)
        device = first.device if first is not None else torch.device("cpu")
        if self._unsized:
            self._materialise(sizes, device)
            held = self.held
        self._schedule(held)
        tensors = self._layout.flattened(tensors)
        if not transformed() and not torch.compiler.is_compiling():
            check_indices(self, tensors, sizes)
        tensors |= held
        if self._counts:
            tensors["step"] = self._step_tensor
        if self.training and self._changes:
            for name in ("step", *self._states):
                if name in tensors:
                    tensors[name] = tensors[name].clone()
        for declared in self._draws:
            if declared.name in drawn:
                tensors[declared.name] = flat(self._expected[declared.name], drawn[declared.name])
            else:
                tensors[declared.name] = draw(self.compiled, declared, tensors, sizes, self.generator, device)
        if self.validate:
            check_values(self, tensors)
        return tensors, sizes

    def _schedule(self, held: Mapping[str, Tensor]) -> None:
        """Scheduled hypers are tensors, so that a new value compiles nothing anew."""
        if self.schedules and not torch.compiler.is_compiling():
            for name, schedule in self.schedules.items():
                held[name].fill_(float(schedule(self._count)))

    def _job(self, tensors: Mapping[str, Tensor], *, logged: bool, sizes: Mapping[Axis, int]) -> Job:
        compiled = self.compiled
        wanted: tuple[str, ...] = ()
        if torch.is_grad_enabled():
            everything = transformed()
            wanted = tuple(n for n in self._learners if everything or tensors[n].requires_grad)
        updates = self.training and bool(compiled.program.updates) and compiled.per_item is None
        in_blocks = self._is_large(tensors, Key(wanted, logged, updates))
        traced = in_blocks and torch.compiler.is_compiling()
        inductor = False
        if not in_blocks and self.backend != "eager" and not torch.compiler.is_compiling() and not transformed():
            device = next(iter(tensors.values())).device
            inductor = self._inductor(compiled, wanted, sizes, device, logged=logged, updates=updates)
        key = (wanted, logged, updates, inductor, in_blocks, traced)
        # Under torch.compile this comes before the table is looked at: tracing sees the table as it is then.
        if torch.compiler.is_compiling() or key not in self._jobs:
            self._prepare(tuple(tensors), *key)
        return self._jobs[key]

    @torch._dynamo.assume_constant_result  # type: ignore[untyped-decorator]
    def _prepare(
        self,
        names: tuple[str, ...],
        wanted: tuple[str, ...],
        logged: bool,
        updates: bool,
        inductor: bool,
        in_blocks: bool,
        traced: bool,
    ) -> bool:
        """Emit the functions for calls of one kind; torch.compile does not trace this."""
        key = (wanted, logged, updates, inductor, in_blocks, traced)
        if key not in self._jobs:
            through = _through_inductor if inductor else _plainly
            runner = (self._traced if traced else self._runner) if in_blocks else None
            held = self._differentiated_again if in_blocks and not traced else None
            self._jobs[key] = Job(self.compiled, names, wanted, logged, updates, through, runner, held, traced)
            if traced and logged and wanted and self.compiled.program.terms:
                warnings.warn(_DETACHED.format(self.name), stacklevel=2)
        return True

    def _is_large(self, tensors: Mapping[str, Tensor], key: Key) -> bool:
        """Whether a call is to run in blocks."""
        forward = key._replace(wanted=()) if self.compiled.per_item is not None else key
        if torch.compiler.is_exporting():
            # An operator of ours would tie the exported program to lossdsl.
            self._say_held(forward, tensors, "in an exported program")
            return False
        if torch.compiler.is_compiling():
            return not transformed() and self._may_be_large(*forward[:3])
        if transformed():
            self._say_held(forward, tensors, "under function transforms and in forward mode")
            return False
        return self._blocks.plan(forward, tensors, self.memory_budget) is not None

    @torch._dynamo.assume_constant_result  # type: ignore[untyped-decorator]
    def _may_be_large(self, wanted: tuple[str, ...], logged: bool, updates: bool) -> bool:
        """Whether there are sizes for which a call runs in blocks: under torch.compile sizes may be symbols."""
        return bool(self._blocks.extents(Key(wanted, logged, updates)))

    def _runner(self, key: Key) -> Run:
        return Runner(self._blocks, key, self.memory_budget, self.backend)

    def _traced(self, key: Key) -> Run:
        from lossdsl.backend.operators import traced

        return traced(Runner(self._blocks, key, self.memory_budget, self.backend))

    def _differentiated_again(self, key: Key, tensors: Mapping[str, Tensor]) -> None:
        self._say_held(key, tensors, "for second derivatives")

    def _say_held(self, key: Key, tensors: Mapping[str, Tensor], why: str) -> None:
        """Say so, or refuse the call, where what is in one piece here would elsewhere run in blocks."""
        if not torch.compiler.is_dynamo_compiling():
            self._blocks.say_held(key, tensors, why, self.memory_budget)

    def _inductor(
        self,
        compiled: Compiled,
        wanted: tuple[str, ...],
        sizes: Mapping[Axis, int],
        device: torch.device,
        *,
        logged: bool,
        updates: bool,
    ) -> bool:
        if wanted and compiled.per_item is None:
            ready = compiled.gradients(wanted, logged=logged, updates=updates)
        else:
            ready = compiled.values(logged=logged, updates=updates)
        count = choice.elements(ready.function.elements, {a.name: s for a, s in sizes.items()})
        return choice.through_inductor(self.backend, count, device)

    def _run(self, job: Job, tensors: dict[str, Tensor]) -> tuple[Tensor, ...]:
        kind = next((t.device.type for t in tensors.values()), "cpu")
        if torch.is_autocast_enabled(kind):
            # A loss chooses its dtypes itself: its products would lose their digits.
            with torch.autocast(kind, enabled=False):
                return self._evaluate(job, tensors)
        return self._evaluate(job, tensors)

    def _evaluate(self, job: Job, tensors: dict[str, Tensor]) -> tuple[Tensor, ...]:
        if not job.wanted:
            return job.main(tuple(tensors.values()))
        if transformed():
            if job.logged or job.updates:
                return job.values(tensors)
            return (Transformed.apply(job, *tensors.values()),)  # type: ignore[no-untyped-call]
        outputs: tuple[Tensor, ...] = Fused.apply(job, *tensors.values())  # type: ignore[no-untyped-call]
        return outputs

    def _update(self, values: Sequence[Tensor]) -> None:
        if transformed():
            raise InputError(f"`{self.name}` updates a state, which function transforms cannot do; call .eval() before")
        with torch.no_grad():
            for named, value in zip(self.compiled.program.updates, values, strict=True):
                getattr(self, self._held[named.name]).copy_(value)

    @property
    def _step_tensor(self) -> Tensor:
        step = self.step
        assert isinstance(step, Tensor)
        return step

    def _advance(self) -> None:
        self._count += 1
        self._step_tensor.add_(1)

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made from the text: a pickle keeps the text and compiles again."""
        kept = {name: value for name, value in self.__dict__.items() if name not in _DERIVED}
        return {**kept, "_jobs": {}, "_known": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._derive()

    def _derive(self) -> None:
        """What belongs to the compiled program itself, and cannot be copied apart from it."""
        program = self.compiled.program
        self._guard = Guard(program, self.compiled.ranges)
        self._layout = Layout(self._guard, self._written_layout)
        self._blocks = Blocks(self.compiled)
        self._indexed = tuple(self.compiled.indexed)
        self._draws = tuple(program.by_role("random"))
        self._states = tuple(d.name for d in program.by_role("state"))
        self._expected = {d.name: expected(d) for d in (*self.compiled.held, *self._draws)}
        changing = self.compiled.changes or self._draws or self.schedules or self._layout.orders
        packed = self.compiled.per_item is not None and self._layout.packed
        self._repeats = not (changing or packed)


def _plainly(ready: Ready) -> Any:
    return ready.run


def _through_inductor(ready: Ready) -> Any:
    return ready.fast


def _plain(value: Any) -> Any:
    number = float(value)
    return value if isinstance(value, bool) else int(number) if number == int(number) else number
