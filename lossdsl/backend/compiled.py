"""A loss compiled for given hyperparameters: its functions in torch, made when they are first needed.

Nothing in here changes after it was made, so copies of a module share it; a pickle keeps the text and compiles again.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from lossdsl.backend.naming import known_names
from lossdsl.backend.outermost import NoReduction, summed, unreduced
from lossdsl.backend.source import Function, function, module_text
from lossdsl.backend.text import in_order, mangled
from lossdsl.bind import Number, Unbound, bind, bound_ranges, known_number
from lossdsl.check import check_source
from lossdsl.diagnostics import Report, SpecError, nowhere
from lossdsl.graph import REAL, Axis, Node, reachable
from lossdsl.lower import Lowered, learners, lower
from lossdsl.modules import Library
from lossdsl.ops import Leaf
from lossdsl.program import Declared, Program
from lossdsl.source import Source

Run = Callable[..., Any]
UPSTREAM = "upstream"
"""The name of the incoming gradient of a loss that is not reduced."""
_UPSTREAM_OF = "upstream."
"""Before the name of a term: that of the gradient that comes in for it. No declaration has a dot in its name."""


@dataclass(frozen=True)
class Recipe:
    """What a loss is compiled from."""

    text: str
    shown: str
    path: Path | None = None
    loss: str | None = None
    hypers: tuple[tuple[str, Number], ...] = ()
    kept: tuple[tuple[str, str], ...] = ()
    """Hypers that stay tensors, and their roles."""
    reduction: str = "declared"


@dataclass(eq=False)
class Ready:
    """An emitted function, ready to be called."""

    function: Function
    run: Run

    @cached_property
    def settled(self) -> Run:
        """The function for arguments that need no casts."""
        return executed([self.function], self.function.name, settled=True)

    @cached_property
    def fast(self) -> Run:
        """The function through inductor."""
        from lossdsl.backend.inductor import graphs

        return graphs(self.run)


def read_program(recipe: Recipe) -> tuple[Program, Source]:
    """Check the text and choose the loss. Raises SpecError where the text is at fault."""
    source = Source(recipe.shown, recipe.text)
    checked = check_source(source, Library(), recipe.path, recipe.loss)
    if not checked.ok:
        raise SpecError(d for d in checked.diagnostics if d.severity == "error")
    programs = checked.programs
    if recipe.loss is not None and recipe.loss not in programs:
        names = ", ".join(f"`{n}`" for n in (checked.module.losses if checked.module else programs))
        raise ValueError(f"there is no loss `{recipe.loss}` in {recipe.shown}; it has {names or 'none'}")
    if len(programs) != 1:
        report = Report()
        names = ", ".join(f"`{n}`" for n in programs)
        report.add("E0413" if programs else "E0414", nowhere(source), names=names)
        raise SpecError(report.sorted())
    return next(iter(programs.values())), source


class Compiled:
    """The functions of one loss."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.written, self.source = read_program(recipe)
        values = dict(recipe.hypers)
        kept = dict(recipe.kept)
        _check_names(self.written, [*values, *kept])
        self.ranges = bound_ranges(self.written, values)
        self.program = bind(self.written, values, kept)
        _check_conditions(self.program)
        self.per_item: Node | None = None
        if recipe.reduction != "declared":
            self._reduce_otherwise()
        self._ready: dict[object, Ready] = {}
        self._through: dict[tuple[str, ...], Lowered] = {}

    def __deepcopy__(self, _memo: dict[int, Any]) -> Compiled:
        return self

    def __copy__(self) -> Compiled:
        return self

    def __reduce__(self) -> tuple[type[Compiled], tuple[Recipe]]:
        return Compiled, (self.recipe,)

    def _reduce_otherwise(self) -> None:
        graph, root = self.program.graph, self.program.minimize
        assert root is not None
        try:
            if self.recipe.reduction == "sum":
                self.program = replace(self.program, minimize=summed(graph, root))
                return
            self.per_item = unreduced(graph, root)
        except NoReduction:
            raise ValueError(
                f"`{self.program.name}` is not one mean or sum, "
                f'so reduction="{self.recipe.reduction}" has no meaning for it'
            ) from None
        upstream = graph.leaf(Leaf(UPSTREAM, "frozen", REAL, self.per_item.axes))
        weighted = graph.reduce("sum", self.per_item.axes, graph.mul(upstream, self.per_item))
        self.program = replace(self.program, minimize=weighted)

    @cached_property
    def lowered(self) -> Lowered:
        """Values and gradients in one graph."""
        return lower(self.program)

    @cached_property
    def forward_only(self) -> Lowered:
        """Values alone."""
        if self.per_item is not None:
            return lower(replace(self.program, minimize=self.per_item), ())
        return lower(self.program, ())

    def through_terms(self, terms: tuple[str, ...]) -> Lowered:
        """What carries gradients back through logged terms: their sum, each times the gradient that comes in for it."""
        if terms not in self._through:
            graph, nodes = self.program.graph, {t.name: t.node for t in self.program.terms}
            weighted = []
            for name in terms:
                axes = nodes[name].axes
                upstream = graph.leaf(Leaf(upstream_of(name), "frozen", REAL, axes))
                product = graph.mul(upstream, nodes[name])
                weighted.append(graph.reduce("sum", axes, product) if axes else product)
            self._through[terms] = lower(
                replace(self.program, minimize=graph.add(*weighted), terms=[], metrics=[], updates=[])
            )
        return self._through[terms]

    @cached_property
    def learners(self) -> list[str]:
        """Inputs and parameters that receive a gradient."""
        return [d.name for d in learners(self.program)]

    @cached_property
    def indexed(self) -> list[Declared]:
        """The inputs that index an axis."""
        return [d for d in self.program.inputs if d.leaf.of is not None]

    @cached_property
    def held(self) -> list[Declared]:
        """Declarations whose tensors the module itself holds: parameters, states, and hypers that are no numbers."""
        numbers, kept = dict(self.recipe.hypers), dict(self.recipe.kept)
        listed = {d.name for d in self.program.hypers if d.values is not None and d.name not in numbers} | kept.keys()
        return [d for d in self.program.declared if d.role in ("learn", "state") or d.name in listed]

    @cached_property
    def uses_step(self) -> bool:
        """Whether the text asks for the training step."""
        nodes = reachable([*self.program.roots])
        return any(n.op.name == "leaf" and n.attributes[0].name == "step" for n in nodes)

    @cached_property
    def changes(self) -> bool:
        """Whether a training call changes something that backward may still read."""
        return self.uses_step or bool(self.program.updates)

    def default(self, name: str) -> Any:
        """The default of a hyper, as a number where it is one."""
        declared = next(d for d in self.written.hypers if d.name == name)
        number = known_number(self.written.graph, declared.default) if declared.default is not None else None
        if number is None:
            return declared.default
        return number if isinstance(number, bool) else int(number) if number == int(number) else float(number)

    def start(self, declared: Declared, sizes: Mapping[Axis, int]) -> Tensor | None:
        """The first value of a parameter, state or list; None where its size is not known yet."""
        ranges = {**{a: (0, size - 1) for a, size in sizes.items()}, **self.ranges}
        nodes = declared.values if declared.values is not None else (declared.default,)
        known = {a.root for a in ranges}
        needed = {a.root for a in declared.leaf.axes} if declared.values is None else set()
        needed |= {
            n.attributes[0].root for n in reachable(x for x in nodes if x is not None) if n.op.name in ("size", "index")
        }
        if not needed <= known:
            return None
        graph = self.program.graph
        axes = declared.leaf.axes if declared.values is None else ()
        full = [graph.expand(n, axes) for n in nodes if n is not None]
        outputs = {str(i): n for i, n in enumerate(full)}
        ready = self.computed(f"start_{declared.name}", outputs, {a.root: r for a, r in ranges.items()})
        result = ready.run()
        values = result if isinstance(result, tuple) else (result,)
        value = torch.stack(list(values)) if declared.values is not None else values[0].clone()
        order = tuple(in_order(axes).index(a) for a in axes)
        return value.permute(order).contiguous() if order else value

    def declared(self, name: str) -> Declared:
        return next(d for d in self.program.declared if d.name == name)

    # Functions

    def values(self, *, logged: bool, updates: bool) -> Ready:
        """The value, and the terms and metrics, and the new states."""
        key = ("values", logged, updates)
        if key not in self._ready:
            low = self.forward_only
            self._make(key, low, self._outputs(low, logged=logged, updates=updates), self.program.name, fused=False)
        return self._ready[key]

    def gradients(self, wanted: tuple[str, ...], *, logged: bool, updates: bool) -> Ready:
        """As `values`, with the gradients of the value by the wanted leaves at the end."""
        key = ("gradients", wanted, logged, updates)
        if key not in self._ready:
            low = self.lowered
            outputs = self._outputs(low, logged=logged, updates=updates)
            outputs |= {f"gradient of {n}": low.gradients[n] for n in wanted}
            self._make(key, low, outputs, f"{self.program.name}_with_gradients", fused=True)
        return self._ready[key]

    def term_gradients(self, wanted: tuple[str, ...], terms: tuple[str, ...]) -> Ready:
        """The gradients by the wanted leaves of logged terms, for what comes in for each of the terms."""
        key = ("term gradients", wanted, terms)
        if key not in self._ready:
            low = self.through_terms(terms)
            outputs = {f"gradient of {n}": low.gradients[n] for n in wanted}
            self._make(key, low, outputs, f"{self.program.name}_gradients_of_terms", fused=True)
        return self._ready[key]

    def computed(
        self, key: str, outputs: Mapping[str, Node], ranges: Mapping[Axis, tuple[int, int]] | None = None
    ) -> Ready:
        """A function of nodes of the program: conditions, defaults, arguments of draws."""
        whole = ("computed", key, tuple(sorted((a.order, r) for a, r in (ranges or {}).items())))
        if whole not in self._ready:
            made = function(self.program, outputs, "computed", ranges if ranges is not None else self.ranges)
            self._ready[whole] = Ready(made, executed([made], f"{self.program.name}_{key}"))
        return self._ready[whole]

    def _outputs(self, low: Lowered, *, logged: bool, updates: bool) -> dict[str, Node]:
        outputs = {"value": low.value}
        if logged:
            outputs |= {f"term {n}": x for n, x in low.terms.items()}
            outputs |= {f"metric {n}": x for n, x in low.metrics.items()}
        if updates:
            outputs |= {f"update {n}": low.graph.expand(x, self.declared(n).leaf.axes) for n, x in low.updates.items()}
        return outputs

    def _make(self, key: object, low: Lowered, outputs: Mapping[str, Node], name: str, *, fused: bool) -> None:
        axes = {f"{what} {d.name}": d.leaf.axes for d in self.program.declared for what in ("gradient of", "update")}
        known = known_names(self.program, low)
        made = function(self.program, outputs, _function_name(name), self.ranges, known, leaf_axes=axes, fused=fused)
        self._ready[key] = Ready(made, executed([made], name))

    @cached_property
    def text(self) -> str:
        """The source of the function with value and gradients."""
        return module_text([self.gradients(tuple(self.learners), logged=True, updates=True).function])


def upstream_of(term: str) -> str:
    """The name of the gradient that comes in for a logged term."""
    return _UPSTREAM_OF + term


def _function_name(name: str) -> str:
    return mangled(name)


def executed(functions: list[Function], name: str, *, settled: bool = False) -> Run:
    """The first function of a text that the compiler wrote, as a callable.

    It lives in a module of its own, which torch.compile looks for by name; the same text is the same module.
    """
    text = module_text(functions, settled=settled)
    place = f"lossdsl_emitted_{mangled(name)}_{sha256(text.encode()).hexdigest()[:16]}"
    module = sys.modules.get(place)
    if module is None:
        module = ModuleType(place, "Written by lossdsl.")
        module.__file__ = f"<{place}>"
        linecache.cache[module.__file__] = (len(text), None, text.splitlines(keepends=True), module.__file__)
        exec(compile(text, module.__file__, "exec"), module.__dict__)
        sys.modules[place] = module
    run: Run = getattr(module, functions[0].name)
    return run


def _check_names(program: Program, given: list[str]) -> None:
    from lossdsl.diagnostics import nearest

    names = [d.name for d in program.hypers]
    for name in given:
        if name not in names:
            near = nearest(name, names)
            known = f"it has {', '.join(names)}" if names else "it has none"
            advice = f"did you mean `{near}`?" if near else known
            raise TypeError(f"`{program.name}` has no hyper `{name}`; {advice}")


def _check_conditions(program: Program) -> None:
    """Every `where` on a hyper must hold for the values given."""
    for declared in program.hypers:
        if declared.condition is not None and known_number(program.graph, declared.condition) is False:
            raise ValueError(f"`{program.name}`: hyper `{declared.name}` must satisfy {declared.condition_text}")
    for condition in program.conditions:
        if known_number(program.graph, condition.node) is False:
            raise ValueError(f"`{program.name}`: {condition.about} must satisfy {condition.text}")


__all__ = ["UPSTREAM", "Compiled", "Ready", "Recipe", "Unbound", "executed", "upstream_of"]
