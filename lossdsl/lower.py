"""From a checked program to what is emitted: stabilised values and gradients in one graph."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lossdsl.algebra import Gain, improve
from lossdsl.derivative import gradients
from lossdsl.graph import REAL, Node
from lossdsl.program import Declared, Program
from lossdsl.rewrite.copies import once_along_copies
from lossdsl.rewrite.engine import Firing, Rewriter
from lossdsl.rewrite.labels import told_apart_last


@dataclass(eq=False)
class Lowered:
    """The rewritten program. `gradients` are those of `value`, by the name of the input or parameter."""

    program: Program
    graph: Rewriter
    value: Node
    terms: dict[str, Node] = field(default_factory=dict)
    metrics: dict[str, Node] = field(default_factory=dict)
    updates: dict[str, Node] = field(default_factory=dict)
    gradients: dict[str, Node] = field(default_factory=dict)
    trace: list[Firing] = field(default_factory=list)
    gains: list[Gain] = field(default_factory=list)

    def moved(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of some leaves whose gradient is not 0 everywhere."""
        return tuple(n for n in names if not _is_zero(self.gradients[n]))

    @property
    def roots(self) -> list[Node]:
        """Every node whose value is asked for, gradients excepted."""
        return [self.value, *self.terms.values(), *self.metrics.values(), *self.updates.values()]


def learners(program: Program) -> list[Declared]:
    """The declarations that receive a gradient."""
    return [d for d in program.by_role("input", "learn") if d.leaf.kind == REAL]


def lower(program: Program, wanted: Iterable[str] | None = None) -> Lowered:
    """Rewrite a program for stability and derive it by each learner, or by those `wanted`."""
    assert program.minimize is not None
    rewriter = Rewriter(program.graph)
    stable = rewriter.rebuild(program.roots)
    once = once_along_copies(rewriter, stable.values())
    done = {node: once[after] for node, after in stable.items()}
    value = done[program.minimize]
    chosen = [d for d in learners(program) if wanted is None or d.name in wanted]
    derived = gradients(rewriter, value, [d.node for d in chosen])
    roots = [*(done[r] for r in program.roots), *derived.values()]
    final, gains = _finish(rewriter, roots)
    return Lowered(
        program,
        rewriter,
        final[value],
        {t.name: final[done[t.node]] for t in program.terms},
        {m.name: final[done[m.node]] for m in program.metrics},
        {u.name: final[done[u.node]] for u in program.updates},
        {d.name: final[derived[d.node]] for d in chosen},
        rewriter.trace,
        gains,
    )


def _is_zero(node: Node) -> bool:
    while node.op.name == "expand":
        node = node.arguments[0]
    return node.is_constant and node.value == 0


def _finish(rewriter: Rewriter, roots: list[Node]) -> tuple[dict[Node, Node], list[Gain]]:
    """Algebra, then the forms that have the best code; what stands for each root."""
    replaced, gains = improve(rewriter, roots)
    better = [replaced.get(r, r) for r in roots]
    apart = told_apart_last(rewriter, better)
    better = [apart[r] for r in better]
    specialised = Rewriter(rewriter, "specialise").rebuild(better)
    return {root: specialised[now] for root, now in zip(roots, better, strict=True)}, gains
