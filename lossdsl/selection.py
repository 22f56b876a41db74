"""Axes in brackets: what a call works over, which places its filter selects, what holds where it is none."""

from __future__ import annotations

from dataclasses import replace

from lossdsl import ast
from lossdsl.build import conjuncts
from lossdsl.elaborate import Elaborator
from lossdsl.graph import BOOL, Axis, Node
from lossdsl.ranges import Interval
from lossdsl.scope import Along, along_of, described, free_copy_name, source_of


def bind_axes(elaborator: Elaborator, e: ast.Call) -> Along:
    """The axes that a call names, with its filter and those that a caller put on them."""
    assert e.axes is not None
    session = elaborator.session
    axes: dict[Axis, ast.Word] = {}
    filters: list[Node] = []
    siblings: list[Axis] = []
    local = any(e.axes.local)
    for word in e.axes.axes:
        along = elaborator.along(word)
        for axis in along.axes:
            if axis in axes:
                raise session.error("E0214", word.span, name=word.text, copy=free_copy_name(elaborator.scope))
            axes[axis] = word
        local = local or along.local
        siblings += along.siblings
        if along.filter is not None:
            filters.append(along.filter)
    if e.axes.filter is not None:
        condition = elaborator.condition(e.axes.filter, "`where`")
        if not session.stack and not elaborator.module.internal:
            _check_possible(elaborator, e.axes.filter, condition)
        filters.append(condition)
    elif e.axes.otherwise is not None:
        raise session.error("E0233", e.axes.otherwise.span)
    others = tuple(a for a in dict.fromkeys(siblings) if a not in axes)
    return Along(tuple(axes), elaborator.graph.conjunction(filters) if filters else None, local, others)


def without_siblings(elaborator: Elaborator, along: Along, body: Node) -> Along:
    """For an argument that has lost a sibling axis: a place counts if any place along that axis does.

    In `def both[I, J](x) = max[I](min[J](x))`, the filter of `both[B, T where m](x)` has both axes, and the
    outer reduction only sees B.
    """
    lost = [a for a in along.siblings if along.filter is not None and a in along.filter.axes and a not in body.axes]
    if not lost or along.filter is None:
        return along
    return replace(along, filter=elaborator.graph.reduce("any", lost, along.filter, local=along.local))


def _check_possible(elaborator: Elaborator, syntax: ast.Expression, condition: Node) -> None:
    """A filter that nothing or everything passes is a mistake."""
    for part in conjuncts(condition):
        truth = decided(part, rounded=True)
        if truth is not None:
            advice = "nothing would ever be selected" if not truth else "everything is selected: remove the filter"
            place = part.span if part.span is not None and part.span.source is syntax.span.source else syntax.span
            raise elaborator.session.error("E0237", place, value=str(truth).lower(), advice=advice)


def decided(condition: Node, *, rounded: bool = False) -> bool | None:
    """Whether ranges alone make a condition true or false; if `rounded`, also of numbers that underflow or round up.

    A softmax is above 0 as a real number, and a filter may leave out the places where it is 0 in floating point.
    """
    if condition.is_constant:
        return bool(condition.value)
    if condition.op.name == "not":
        inner = decided(condition.arguments[0], rounded=rounded)
        return None if inner is None else not inner
    if condition.op.name == "and":
        parts = [decided(part, rounded=rounded) for part in condition.arguments]
        return False if False in parts else None if None in parts else True
    if condition.op.name not in ("eq", "lt", "le"):
        return None
    x, y = (_reached(a) if rounded else a.range for a in condition.arguments)
    if condition.op.name == "eq":
        return False if x.meet(y).empty else None
    strict = condition.op.name == "lt"
    if x.high < y.low or (x.high == y.low and (not strict or x.high_open or y.low_open)):
        return True
    if y.high < x.low or (y.high == x.low and (strict or y.high_open or x.low_open)):
        return False
    return None


def _reached(node: Node) -> Interval:
    """The range of a value with the ends that rounding reaches; what is declared is taken at its word."""
    return node.range if node.op.name == "leaf" else node.range.closed


def check_filter(
    elaborator: Elaborator, e: ast.Call, along: Along, arguments: list[tuple[ast.Expression, Node]]
) -> None:
    """A filter may bring axes by their index (a segment), but not combine unrelated data by accident."""
    if along.filter is None or e.axes is None or e.axes.filter is None:
        return
    if {a for _, node in arguments for a in node.axes}.issuperset(along.filter.axes):
        # Which arguments meet is said by what is called: `dot` crosses the axes that one of them lacks.
        return
    for syntax, node in arguments:
        if node.axes:
            elaborator.combine(e, [(e.axes.filter, along.filter), (syntax, node)])


def otherwise(elaborator: Elaborator, e: ast.Call, along: Along, result: Node) -> Node:
    """The value where nothing is selected: as `else` says, or the neutral value, or an error."""
    assert e.axes is not None
    if e.axes.filter is None or along.filter is None:
        return result
    session, graph = elaborator.session, elaborator.graph
    if e.axes.otherwise is None:
        if not elaborator.module.internal and _undefined(elaborator, e, along, result):
            axis = ", ".join(w.text for w in e.axes.axes)
            condition = source_of(e.axes.filter, 60)
            argument = ", ".join(source_of(a.value) for a in e.arguments)
            raise session.error(
                "E0232", e.span, function=e.function.text, axis=axis, condition=condition, argument=argument
            )
        return result
    fallback = elaborator.expression(e.axes.otherwise)
    if any(a not in result.axes for a in fallback.axes):
        raise session.error(
            "E0243", e.axes.otherwise.span, what="the value after `else`", found=along_of(fallback.axes),
            whole="the result", axes=along_of(result.axes)
        )  # fmt: skip
    if (fallback.kind == BOOL) != (result.kind == BOOL):
        kinds = {True: "a condition", False: "a number"}
        raise session.error(
            "E0230",
            e.axes.otherwise.span,
            what=f"the value after `else` of `{e.function.text}`",
            expected=kinds[result.kind == BOOL],
            found=f"`{described(fallback)}`",
            advice="write `else false`" if result.kind == BOOL else "write `else 0`",
        )
    graph.span = elaborator.session.seen_at(e.axes.span)
    return graph.select(_selected(elaborator, e, along, result), result, fallback)


def _undefined(elaborator: Elaborator, e: ast.Call, along: Along, result: Node) -> bool:
    """Whether the result has no value when nothing is selected."""
    assert along.filter is not None
    session = elaborator.session
    before = session.emptiness.visited
    undefined = session.emptiness.undefined(result, along.filter, along.axes)
    session.spend((session.emptiness.visited - before) // 4, e.span)
    return undefined


def _selected(elaborator: Elaborator, e: ast.Call, along: Along, result: Node) -> Node:
    """Where the result has a value: where anything is selected.

    A result that keeps the filtered axis and is undefined without a selection, as a filtered softmax is, has
    a value only in the selected places.
    """
    assert along.filter is not None
    keeps = [a for a in along.axes if a in result.axes and a in along.filter.axes]
    if keeps and _undefined(elaborator, e, along, result):
        return along.filter
    over = tuple(a for a in along.axes if a in along.filter.axes)
    return elaborator.graph.reduce("any", over, along.filter, local=along.local)
