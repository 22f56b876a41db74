"""Calls by name: which thing is called, and the operations among them: elementwise, reductions and scans."""

from __future__ import annotations

from lossdsl import ast
from lossdsl.definitions import axis_to_suggest, call_definition, count_of_arguments
from lossdsl.diagnostics import nearest
from lossdsl.elaborate import Elaborator
from lossdsl.graph import BOOL, INT, REAL, Node
from lossdsl.ops import Op
from lossdsl.ranges import Interval
from lossdsl.scope import Along, Failed, along_of, described, source_of
from lossdsl.selection import bind_axes, check_filter, otherwise, without_siblings


def call(elaborator: Elaborator, e: ast.Call) -> Node:
    """The value of a call, whatever the name stands for where it is called."""
    found = elaborator.module.called(e.function.text)
    if found is None:
        raise _unknown_function(elaborator, e)
    namesake = elaborator.module.namesake(e, found)
    if namesake is not None and all(n.axes for n in elaborator.expressions(a.value for a in e.arguments[:2])):
        found = namesake
    item, home = found
    if isinstance(item, Op):
        return _call_op(elaborator, e, item)
    if isinstance(item, ast.Def):
        return call_definition(elaborator, e, item, home)
    from lossdsl.losses import call_loss

    return call_loss(elaborator, e, item, home)


def _unknown_function(elaborator: Elaborator, e: ast.Call) -> Failed:
    name = e.function.text
    if elaborator.module.incomplete:
        return Failed()
    near = nearest(name, elaborator.module.function_names())
    if name in elaborator.scope.values:
        advice = f"`{name}` is a value; an index is put in place of an axis by `{name}[C = i]`"
    elif name in elaborator.scope.along:
        advice = f"`{name}` is an axis; its size is `|{name}|`"
    elif name in _TORCH_NAMES:
        advice = f"write `{_TORCH_NAMES[name]}`"
    else:
        advice = f"did you mean `{near}`?" if near else "`lossdsl list` shows what there is"
    return elaborator.session.error("E0206", e.function.span, name=name, advice=advice)


_TORCH_NAMES = {
    "logsigmoid": "log_sigmoid(x)",
    "cosine_similarity": "cosine[D](x, y)",
    "cdist": "euclid[D](x, y[B -> P])",
    "matmul": "dot[D](x, y)",
    "einsum": "dot[D](x, y)",
    "mm": "dot[D](x, y)",
    "one_hot": "onehot[C](target)",
    "where": "if condition then a else b",
    "detach": "stop(x)",
    "stop_gradient": "stop(x)",
    "amax": "max[C](x)",
    "amin": "min[C](x)",
    "pow": "x^y",
    "len": "|B|",
    "size": "|B|",
    "softmin": "softmax[C](-x)",
    "normalise": "normalize[D](x)",
    "average": "mean[B](x)",
    "ln": "log(x)",
}


# Operations


def _call_op(elaborator: Elaborator, e: ast.Call, op: Op) -> Node:
    session = elaborator.session
    argument = ", ".join(source_of(a.value) for a in e.arguments)
    if op.family in ("elementwise", "structure"):
        if e.axes is not None:
            raise session.error("E0226", e.span, function=op.name, argument=argument)
        return _elementwise(elaborator, e, op)
    if e.axes is None:
        axis = axis_to_suggest(elaborator, e)
        raise session.error("E0225", e.span, function=op.name, axis=axis, argument=argument or "x")
    return _over_axes(elaborator, e, op)


def _elementwise(elaborator: Elaborator, e: ast.Call, op: Op) -> Node:
    nodes = _values(elaborator, e, op, e.arguments)
    if len(nodes) > 1:
        elaborator.combine(e, [(a.value, n) for a, n in zip(e.arguments, nodes, strict=True)])
    _check_domains(elaborator, e, op, nodes)
    elaborator.graph.span = elaborator.session.seen_at(e.span)
    return elaborator.graph.apply(op, *nodes)


def _check_domains(elaborator: Elaborator, e: ast.Call, op: Op, nodes: list[Node]) -> None:
    if elaborator.module.internal:
        return
    positional = [a for a in e.arguments if a.name is None]
    for position, (argument, node) in enumerate(zip(positional, nodes, strict=True)):
        domain = op.domain[min(position, len(op.domain) - 1)]
        if node.kind != BOOL and node.range.meet(domain).empty:
            raise elaborator.session.error(
                "E0236",
                argument.value.span,
                function=f"`{op.name}`",
                found=f"`{source_of(argument.value)}`, which is {_shown_range(node.range)}",
                advice=f"`{op.name}` takes values {_shown_range(domain)}",
            )


def _shown_range(x: Interval) -> str:
    if x.low == x.high:
        return f"{x.low:g}"
    if x.low == float("-inf"):
        return f"below {x.high:g}" if x.high_open else f"at most {x.high:g}"
    if x.high == float("inf"):
        return f"above {x.low:g}" if x.low_open else f"at least {x.low:g}"
    return f"in {x}"


def _values(elaborator: Elaborator, e: ast.Call, op: Op, arguments: tuple[ast.Argument, ...]) -> list[Node]:
    """The arguments of an operation, counted and of the right kinds."""
    for argument in arguments:
        if argument.name is not None:
            advice = f"`{op.name}` takes its arguments by position"
            raise elaborator.session.error(
                "E0302", argument.name.span, function=op.name, name=argument.name.text, advice=advice
            )
    if op.arity is not None and len(arguments) != op.arity:
        raise _wrong_count(elaborator, e, op, len(arguments))
    nodes = elaborator.expressions(a.value for a in arguments)
    for position, (argument, node) in enumerate(zip(arguments, nodes, strict=True)):
        _require_kind(elaborator, argument.value, node, op.name, op.takes[min(position, len(op.takes) - 1)])
    return nodes


def _wrong_count(elaborator: Elaborator, e: ast.Call, op: Op, found: int) -> Failed:
    arity = op.arity or 0
    axes = f"[{e.axes.span.text}]" if e.axes is not None else ""
    advice = f"for example `{op.name}{axes}({', '.join('xyzw'[:arity])})`"
    if op.name in ("max", "min") and found == 2:
        pair = ", ".join(source_of(a.value) for a in e.arguments)
        advice = f"the larger of two values is `{op.name}imum({pair})`".replace(
            "larger", "larger" if op.name == "max" else "smaller"
        )
    expected = count_of_arguments(arity, arity)
    return elaborator.session.error("E0301", e.span, function=op.name, expected=expected, found=found, advice=advice)


def _require_kind(elaborator: Elaborator, e: ast.Expression, node: Node, function: str, wanted: str) -> None:
    if wanted == "any" or wanted == node.kind or (wanted == REAL and node.kind == INT):
        return
    if wanted == "number" and node.kind != BOOL:
        return
    expected = {BOOL: "a condition", INT: "a whole number"}.get(wanted, "a number")
    if wanted == BOOL:
        advice = f"compare it: `{source_of(e)} > 0`"
    elif node.kind == BOOL:
        advice = f"turn it into a number: `if {source_of(e)} then 1 else 0`"
    elif node.op.name == "leaf":
        advice = f"declare `{source_of(e)}` as `{wanted}`"
    else:
        advice = f"round it: `floor({source_of(e)})`"
    foreign = elaborator.session.foreign()
    if foreign is not None:
        # The text at fault stands in a definition; the user sees only the call.
        function, advice = foreign.name, "look at the kinds of its arguments"
    raise elaborator.session.error(
        "E0230", e.span, what=f"`{function}`", expected=expected, found=f"`{described(node)}`", advice=advice
    )


def _over_axes(elaborator: Elaborator, e: ast.Call, op: Op) -> Node:
    assert e.axes is not None
    graph = elaborator.graph
    along = bind_axes(elaborator, e)
    positional = tuple(a for a in e.arguments if a.name is None)
    options = _options(elaborator, e, op)
    nodes = _values(elaborator, e, op, positional)
    body = nodes[0]
    if not elaborator.module.internal:
        for word in e.axes.axes:
            axes = elaborator.along(word).axes
            if not body.is_constant and not any(a in body.axes for a in axes):
                raise _axis_not_in_argument(elaborator, e, word, positional[0].value, body)
    _check_domains(elaborator, e, op, nodes)
    along = without_siblings(elaborator, along, body)
    check_filter(elaborator, e, along, [(positional[0].value, body)])
    graph.span = elaborator.session.seen_at(e.span)
    if op.family == "scan":
        result = _scan(elaborator, op, along, nodes, options)
    else:
        result = graph.reduce(op, along.axes, body, along.filter, local=along.local)
    return otherwise(elaborator, e, along, result)


def _axis_not_in_argument(
    elaborator: Elaborator, e: ast.Call, word: ast.Word, syntax: ast.Expression, body: Node
) -> Failed:
    name, axis = e.function.text, word.text
    foreign = elaborator.session.foreign()
    place = word.span
    if foreign is not None:
        # Inside a definition of the prelude `mean[B](x)` is a sum over K; the user wrote a mean over B.
        name = foreign.name
        place = foreign.call.axes.span if foreign.call.axes is not None else foreign.call.span
        axis = ", ".join(a.name for a in elaborator.along(word).axes) or axis
        syntax = foreign.call.arguments[0].value if foreign.call.arguments else syntax
    near = nearest(axis, [a.name for a in body.axes])
    if near:
        advice = f"did you mean `{name}[{near}]`?"
    elif not body.axes:
        advice = f"`{source_of(syntax)}` is a single number: drop `{name}[{axis}]`, or multiply by `|{axis}|`"
    else:
        advice = f"for example `{name}[{body.axes[-1].name}]({source_of(syntax)})`"
    return elaborator.session.error("E0213", place, function=name, axis=axis, axes=along_of(body.axes), advice=advice)


def _options(elaborator: Elaborator, e: ast.Call, op: Op) -> dict[str, object]:
    options: dict[str, object] = {}
    session = elaborator.session
    for argument in e.arguments:
        if argument.name is None:
            continue
        name = argument.name.text
        if name not in op.options:
            raise _unknown_option(elaborator, e, op, argument.name)
        if name in options:
            raise session.error("E0303", argument.name.span, function=op.name, name=name)
        value = elaborator.expression(argument.value)
        if not value.is_constant:
            raise session.error("E0310", argument.value.span, name=name, function=op.name)
        options[name] = value.value
    return options


def _unknown_option(elaborator: Elaborator, e: ast.Call, op: Op, name: ast.Word) -> Failed:
    near = nearest(name.text, op.options)
    if name.text in ("dim", "axis", "dims"):
        advice = f"axes stand in brackets: `{op.name}[B](...)`"
    elif near:
        advice = f"did you mean `{near}`?"
    else:
        advice = f"`{op.name}` takes {count_of_arguments(op.arity or 0, op.arity or 0)} by position"
    return elaborator.session.error("E0302", name.span, function=op.name, name=name.text, advice=advice)


def _scan(elaborator: Elaborator, op: Op, along: Along, nodes: list[Node], options: dict[str, object]) -> Node:
    graph = elaborator.graph
    body = nodes[0]
    if along.filter is not None and op.neutral is not None:
        body = graph.select(along.filter, body, graph.constant(op.neutral))
    result = graph.scan(op, along.axes, body, *nodes[1:], **options)
    if along.filter is not None and result.kind == BOOL:
        result = graph.conjunction((result, along.filter))
    return result
