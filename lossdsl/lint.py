"""Warnings: what is legal and probably not meant, or will hurt in training.

Whether a value is dangerous is asked of the rewritten program: what the compiler makes harmless is not mentioned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lossdsl import ast
from lossdsl.build import conjuncts
from lossdsl.diagnostics import Report
from lossdsl.dominance import held_down
from lossdsl.flow import receiving
from lossdsl.graph import BOOL, REAL, Axis, Node, reachable
from lossdsl.program import Declared, Program
from lossdsl.ranges import Interval
from lossdsl.scope import Scope, Session
from lossdsl.source import Span

if TYPE_CHECKING:
    from lossdsl.rewrite.engine import Rewriter

_EXP_LIMIT = 88.0
# Larger programs are not rewritten to see what is dangerous: `check` has to answer at once.
_LARGEST = 4_000


def lint(program: Program, loss: ast.Loss, scope: Scope, session: Session, report: Report) -> None:
    """Add warnings about a program without errors."""
    from lossdsl.rewrite.engine import Rewriter

    assert program.minimize is not None
    raw = reachable(program.roots)
    _unused(program, loss, raw, session, report)
    _weights(loss, report)
    _raw_patterns(program, raw, report)
    if len(raw) > _LARGEST:
        return
    rewriter = Rewriter(program.graph)
    done = rewriter.rebuild(program.roots)
    nodes = reachable(done[root] for root in program.roots)
    guarded = _guarded(nodes) | _below_one(nodes) | _logarithms(nodes, program)
    guarded |= _corrected(nodes, program) | _ordered(nodes, program, rewriter)
    guarded |= _above_minus_one(nodes, guarded, program) | _stated_small(nodes, program, rewriter)
    for node in nodes:
        check = _DANGERS.get(node.op.name, _domain)
        for code, fields in check(node, guarded):
            _say(report, code, node, program, **fields)
    _one_class(program, nodes, report)
    _three_axes(nodes, program, report)


def _say(report: Report, code: str, node: Node, program: Program, **fields: object) -> None:
    place = node.span if node.span is not None and node.span.source is program.span.source else program.minimize_span
    report.add(code, place or program.span, **fields)  # type: ignore[arg-type]


# Values that are dangerous


def _guarded(nodes: list[Node]) -> set[Node]:
    """Values that some condition keeps away from 0."""
    safe: set[Node] = set()
    for node in nodes:
        if node.op.name in ("lt", "le") and node.arguments[0].range.nonnegative:
            safe.add(node.arguments[1])
        if node.op.name == "eq":
            safe.update(node.arguments)
    # `any[K](f)` keeps the count of what f selects away from 0.
    chosen = {(n.arguments[0], n.attributes) for n in nodes if n.op.name == "any"}
    safe.update(n for n in nodes if n.op.name == "sum" and (_counted(n), n.attributes) in chosen)
    for node in nodes:  # arguments stand before what uses them
        if node.op.name == "rename" and node.arguments[0] in safe:
            safe.add(node)
    return safe


def _counted(node: Node) -> Node:
    """What a sum counts: its filter, or the condition of `count[K](condition)`."""
    body = node.arguments[-1]
    if body.op.name == "select" and [a.value for a in body.arguments[1:] if a.is_constant] == [1, 0]:
        return body.arguments[0]
    return body


def _below_one(nodes: list[Node]) -> set[Node]:
    """Minus what a condition keeps below 1, as `log1p` takes it."""
    below = Interval(high=1.0, high_open=True)
    kept = {n.arguments[0] for n in nodes if n.op.name in ("lt", "le") and n.arguments[1].range.within(below)}
    products = (n for n in nodes if n.op.name == "mul" and len(n.arguments) == 2 and kept & set(n.arguments))
    return {n for n in products if any(a.is_constant and a.value == -1 for a in n.arguments)}


def _logarithms(nodes: list[Node], program: Program) -> set[Node]:
    """Logarithms of sizes that are stated to be above 1."""
    stated = _stated_long(program)
    return {n for n in nodes if n.op.name == "log" and n.arguments[0] in stated}


def _stated_small(nodes: list[Node], program: Program, rewriter: Rewriter) -> set[Node]:
    """Exponentials of what a `where` keeps below their limit, as in `where x / beta <= 80`."""
    stated = [part for d in program.declared if d.condition is not None for part in conjuncts(d.condition)]
    small = [p.arguments[0] for p in stated if p.op.name in ("lt", "le") and p.arguments[1].range.high <= _EXP_LIMIT]
    done = rewriter.rebuild(small)
    kept = {done[x] for x in small}
    return {n for n in nodes if n.op.name == "exp" and n.arguments[0] in kept}


def _corrected(nodes: list[Node], program: Program) -> set[Node]:
    """Counts less one, as in an unbiased variance, of axes that are stated to be longer."""
    stated = {size.attributes[0].root for size in _stated_long(program) if size.op.name == "size"}
    safe: set[Node] = set()
    for node in nodes:
        if node.op.name != "add" or len(node.arguments) != 2:
            continue
        number, count = sorted(node.arguments, key=lambda n: not n.is_constant)
        if number.is_constant and number.value == -1 and count.op.name == "sum" and len(count.arguments) == 1:
            axes = count.attributes[0].axes
            safe.update({node} if _is_count(count) and any(a.root in stated for a in axes) else ())
    return safe


def _ordered(nodes: list[Node], program: Program, rewriter: Rewriter) -> set[Node]:
    """Differences of what a condition or a range puts in order, as in `where high > low`."""
    graph = program.graph
    stated = (part for d in program.declared if d.condition is not None for part in conjuncts(d.condition))
    ordered = [n.arguments for n in (*nodes, *stated) if n.op.name == "lt" and n.arguments[0].kind != BOOL]
    differences = [graph.subtract(high, low) for low, high in ordered]
    done = rewriter.rebuild(differences)
    return {done[d] for d in differences}


def _above_minus_one(nodes: list[Node], guarded: set[Node], program: Program) -> set[Node]:
    """What `log1p` takes where a condition guards one more than it."""
    graph = program.graph
    one = graph.constant(1)
    return {n.arguments[0] for n in nodes if n.op.name == "log1p" and graph.add(one, n.arguments[0]) in guarded}


Findings = Iterator[tuple[str, dict[str, object]]]


def _log(node: Node, guarded: set[Node]) -> Findings:
    x = node.arguments[0]
    if x in guarded or x.range.positive:
        return
    if x.range.low < 0:
        advice = f"state its range, as in `input x: real[B] where x > 0`; {_reached(x)}"
        yield "W0507", {"function": "log", "found": x.range, "advice": advice}
    else:
        yield "W0501", {"advice": f"add a small number, or work with the logarithm itself; {_reached(x)}"}


def _power(node: Node, guarded: set[Node]) -> Findings:
    base, exponent = node.arguments
    if base in guarded:
        return
    whole = exponent.kind != REAL
    low, high = exponent.range.low, exponent.range.high
    if not whole and base.range.low < 0:
        yield "W0506", {"advice": f"take `abs(...)`, or state the range of the base; {_reached(base)}"}
    elif high < 0 and 0 in base.range:
        if not _is_count(base) and not _is_guarded_factor(base, guarded):
            hyper = _bare_hyper(base)
            if hyper:
                yield "W0536", {"name": hyper}
            else:
                advice = f"add a small number, or guard it: `if d > 0 then n / d else 0`; {_reached(base)}"
                yield "W0502", {"advice": advice}
    elif not whole and low < 1 and 0 in base.range and _has_gradient(base) and not _is_guarded_factor(base, guarded):
        if exponent.is_constant:
            function = "sqrt" if low == 0.5 else "a fractional power"
            advice = f"add a small number under it, as in `sqrt(x^2 + 1e-12)`; {_reached(base)}"
            yield "W0504", {"function": function, "advice": advice}
        elif low > 0 or high <= 1:
            yield "W0503", {"advice": f"keep the exponent at 1 or above, or the base away from 0; {_reached(base)}"}


def _exp(node: Node, guarded: set[Node]) -> Findings:
    x = node.arguments[0]
    if x.range.high > _EXP_LIMIT and node not in guarded and not _is_parameter(x) and not held_down(x):
        yield "W0505", {"advice": f"subtract its maximum, clamp it, or state its range; {_reached(x)}"}


def _domain(node: Node, guarded: set[Node]) -> Findings:
    if node.op.family != "elementwise":
        return
    x = node.arguments[0]
    if node.op.name in ("acos", "asin") and x.op.name == "sum" and x.range.within(node.op.domain[0]):
        # A cosine of 1 is rounded to more than 1 as often as not.
        advice = f"rounding can lead beyond it: `clamp(x, -1 + 1e-6, 1 - 1e-6)`; {_reached(x)}"
        yield "W0507", {"function": node.op.name, "found": x.range, "advice": advice}
        return
    for position, x in enumerate(node.arguments):
        domain = node.op.domain[min(position, len(node.op.domain) - 1)]
        if x.kind != BOOL and not x.range.within(domain) and not x.is_constant and x not in guarded:
            advice = f"it is defined on {domain}; {_reached(x)}"
            yield "W0507", {"function": node.op.name, "found": x.range, "advice": advice}


_DANGERS: dict[str, Callable[[Node, set[Node]], Findings]] = {
    "log": _log,
    "pow": _power,
    "exp": _exp,
}


def _is_guarded_factor(node: Node, guarded: set[Node]) -> bool:
    """Whether a condition keeps a product or a power away from 0 that would be 0 with it."""
    return any(g.op.name in ("mul", "pow") and node in g.arguments for g in guarded)


def _is_count(node: Node) -> bool:
    """A count of selected places: `else` has said what happens at 0."""
    if node.op.name == "sum":
        return node.arguments[0].is_constant
    return node.op.name in ("mul", "expand") and any(_is_count(a) for a in node.arguments)


def _bare_hyper(node: Node) -> str:
    return node.attributes[0].name if node.op.name == "leaf" and node.attributes[0].role == "hyper" else ""


def _has_gradient(node: Node) -> bool:
    return any(n.op.name == "leaf" and n.attributes[0].role in ("input", "learn") for n in reachable([node]))


def _is_parameter(node: Node) -> bool:
    """Learnable and constant values are few and looked after by the optimiser's user."""
    roles = {n.attributes[0].role for n in reachable([node]) if n.op.name == "leaf"}
    return not roles & {"input", "frozen"}


def _reached(node: Node) -> str:
    names = sorted({n.attributes[0].name for n in reachable([node]) if n.op.name == "leaf"})
    shown = ", ".join(f"`{n}`" for n in names[:3])
    return f"it depends on {shown}" if names else "it is constant"


# Shapes


def _one_class(program: Program, nodes: list[Node], report: Report) -> None:
    """A softmax over an axis that no label indexes may meet a single channel, where it is constant."""
    indexed = {d.leaf.of.root for d in program.declared if d.leaf.of is not None}
    stated = _stated_long(program)
    for node in nodes:
        if node.op.name not in ("softmax", "log_softmax", "unit"):
            continue
        for axis in node.attributes[0].axes:
            long = axis.root.last is not None and _least(axis.root.last, axis.root.first) >= 1
            long = long or program.graph.size(axis) in stated
            if node.op.name != "unit" and axis.root not in indexed and not long and axis.base is None:
                _say(report, "W0510", node, program, axis=axis.name)


def _least(last: Node, first: Node | None) -> float:
    """How far apart the ends of an axis are at least."""
    return last.range.low - (first.range.high if first is not None else 0.0)


def _stated_long(program: Program) -> set[Node]:
    """The sizes of axes that some `where` keeps above 1."""
    stated: set[Node] = set()
    for declared in program.declared:
        for part in conjuncts(declared.condition) if declared.condition is not None else ():
            least = {"le": 2.0, "lt": 1.0}.get(part.op.name)
            if least is not None and part.arguments[0].range.low >= least:
                stated.add(part.arguments[1])
    return stated


def _three_axes(nodes: list[Node], program: Program, report: Report) -> None:
    contracted = {n.arguments[0] for n in nodes if n.op.family == "reduce"} | _chosen(nodes)
    for node in nodes:
        large = [a for a in node.axes if a.root.first is None]
        pairs = [a for a in large if a.base is not None]
        if len(large) >= 3 and len(pairs) >= 2 and node.op.family == "elementwise" and node.kind == REAL:
            if node in contracted:
                continue
            names = ", ".join(f"`{a.name}`" for a in large)
            _say(report, "W0533", node, program, axes=names)
            return


def _chosen(nodes: list[Node]) -> set[Node]:
    """What is made for a reduction whose own filter says which of its triplets are meant."""
    found: set[Node] = set()
    waiting = [
        n.arguments[0]
        for n in nodes
        if n.op.family == "reduce" and len(n.arguments) == 2 and len(n.attributes[0].axes) >= 3
    ]
    while waiting:
        node = waiting.pop()
        if node.op.family == "elementwise" and node not in found:
            found.add(node)
            waiting.extend(node.arguments)
    return found


# Names


def _unused(program: Program, loss: ast.Loss, raw: list[Node], session: Session, report: Report) -> None:
    assert program.minimize is not None
    seen = set(raw)
    for d in program.declared:
        for node in (d.default, d.condition, *(d.draw.arguments if d.draw else ())):
            if node is not None:
                seen.update(n for n in reachable([node]) if n is not d.node)
    sized = {a.root for n in seen if n.op.name == "leaf" for a in n.axes}
    live = receiving(program.minimize)
    below = set(reachable([program.minimize]))
    for d in program.declared:
        if "." in d.name:
            continue
        _unused_declaration(d, d.node in seen or _gives_size(d, seen, sized), d.node in live, report)
    for term in program.terms:
        if term.node not in below:
            report.add("W0522", term.span, name=term.name)
    for statement in loss.body:
        if (
            isinstance(statement, ast.Assignment)
            and statement.role == "let"
            and statement.name.text not in session.used
        ):
            report.add("W0521", statement.name.span, name=statement.name.text)
    updated = {u.name for u in program.updates}
    for d in program.by_role("state"):
        if d.name not in updated:
            report.add("W0537", d.span, name=d.name)
    if not any(n.op.name == "leaf" and n.attributes[0].role in ("input", "frozen") for n in below):
        report.add("W0538", program.minimize_span or program.span)


def _gives_size(d: Declared, seen: set[Node], sized: set[Axis]) -> bool:
    """A hyper may serve only as the end of an axis range."""
    return any(
        axis.last is d.node or axis.first is d.node or (axis.last is not None and d.node in reachable([axis.last]))
        for n in seen
        for axis in n.axes
    )


def _unused_declaration(d: Declared, used: bool, learns: bool, report: Report) -> None:
    if not used:
        report.add("W0520", d.span, role=d.role, name=d.name)
    elif d.role == "input" and d.leaf.kind == REAL and not learns:
        report.add("W0523", d.span, name=d.name)


# What is written


def _weights(loss: ast.Loss, report: Report) -> None:
    from lossdsl.infer import parts

    stack: list[ast.Expression] = [s.value for s in loss.body if isinstance(s, ast.Assignment | ast.Minimize)]
    while stack:
        e = stack.pop()
        stack.extend(parts(e))
        if isinstance(e, ast.Chain) and e.rest[0][0] in "*/":
            factors = [e.first, *(f for operator, f in e.rest if operator == "*")]
            if any(isinstance(f, ast.Number) and f.value == 0 for f in factors):
                report.add("W0531", e.span)


def _raw_patterns(program: Program, raw: list[Node], report: Report) -> None:
    for node in raw:
        if node.span is None or node.span.source is not program.span.source:
            continue
        if (
            node.op.name == "eq"
            and all(a.kind == REAL for a in node.arguments)
            and not any(a.is_constant for a in node.arguments)
        ):
            report.add("W0532", node.span, operator="==")
        if node.op.name == "mul":
            _divides_by_everything(node, node.span, report)
            _learnt_scale(node, program, report)
        if node.op.name == "sum" and len(node.arguments) == 1:
            _mask_by_product(node, node.span, report)


def _divides_by_everything(node: Node, span: Span, report: Report) -> None:
    sums = [a for a in node.arguments if a.op.name == "sum" and len(a.arguments) == 2]
    sizes = {
        a.arguments[0].attributes[0]
        for a in node.arguments
        if a.op.name == "pow" and a.arguments[0].op.name == "size" and a.arguments[1].range.negative
    }
    for part in sums:
        for axis in part.attributes[0].axes:
            if axis.root in sizes:
                report.add("W0534", span, axis=axis.name)


def _mask_by_product(node: Node, span: Span, report: Report) -> None:
    body = node.arguments[0]
    if body.op.name != "mul":
        return
    masks = [a for a in body.arguments if a.kind == BOOL and set(a.axes) & set(node.attributes[0].axes)]
    if masks and any(a.kind == REAL for a in body.arguments):
        report.add("W0535", span, axis=node.attributes[0].axes[0].name)


def _learnt_scale(node: Node, program: Program, report: Report) -> None:
    for factor in node.arguments:
        base = factor.arguments[0] if factor.op.name == "pow" else factor
        if base.op.name != "leaf" or base.attributes[0].role != "learn" or base.axes:
            continue
        if base.range.within(Interval(0.0)):
            continue
        if factor is base and all(other is factor or other.is_constant for other in node.arguments):
            continue  # `-log_scale` and `2 * bias` scale nothing
        place = next((d.span for d in program.declared if d.node is base), node.span)
        report.add("W0530", place or program.span, name=base.attributes[0].name)
