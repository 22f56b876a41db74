"""Reductions and operations along axes: masked, over segments, as picks, and as products of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from lossdsl.backend.arithmetic import multiplied
from lossdsl.backend.contraction import write_contraction
from lossdsl.backend.kinds import Joined, Reduction
from lossdsl.backend.pairs import write_distances, write_pull
from lossdsl.backend.text import Value, aligned, constant, in_order, tuple_text
from lossdsl.backend.torch_ops import ATOM, BIT_AND, HIGHEST, LINES, LOWEST, PRODUCT, SUM, TERNARY, UNARY
from lossdsl.graph import BOOL, INT, REAL, Axis, Node

if TYPE_CHECKING:
    from lossdsl.backend.emit import Emitter


def write(emitter: Emitter, node: Node, form: Reduction) -> Value:
    """A reduction in the form chosen for it."""
    if form.pair is not None:
        return write_distances(emitter, form.pair) if form.product is None else write_pull(emitter, form, mask_of)
    if form.product is not None:
        return write_contraction(emitter, form)
    body = emitter.values[form.body]
    parts = [emitter.values[p] for p in form.parts]
    if (
        node.op.name == "norm"
        and not parts
        and not form.hot
        and form.segment is None
        and set(form.axes) <= set(body.axes)
    ):
        return length_of(emitter, form.body, form.axes)
    for axis, label in form.holes:
        neutral = Value(neutral_of(node.op.name, node.kind), ATOM, (), REAL, True)
        whole = emitter.full(emitter.real(body), in_order((*body.axes, axis)))
        body = emitter.written(whole, axis, emitter.values[label], neutral)
    if form.shared or form.shifted:
        return _logsumexp(
            emitter, node, form, masked(emitter, "logsumexp", emitter.real(body), mask_of(emitter, parts))
        )
    if form.hot:
        body, parts = _picked(emitter, form, body, parts)
    if form.segment is not None:
        return _segment(emitter, node, form, body, parts)
    kind = REAL if node in emitter.plan.real else node.kind
    return dense(emitter, "mean" if form.averaged else node.op.name, kind, body, parts, form.axes)


def _logsumexp(emitter: Emitter, node: Node, form: Reduction, body: Value) -> Value:
    """The logarithm of a sum of exponentials; what is wanted for a softmax or a log-softmax of them stays."""
    body = emitter.named(body, "scores")
    rest = tuple(a for a in body.axes if a not in form.axes)
    places = [str(body.axes.index(a)) for a in in_order(form.axes)]
    dims = places[0] if len(places) == 1 else tuple_text(places)
    largest = Value(f"{body.at(ATOM)}.amax({dims})", ATOM, rest, REAL)
    if not form.holes and any(a.root not in emitter.firsts for a in form.axes):
        largest = _or_neutral(emitter, "max", REAL, largest, form.axes)
    # Of nothing but minus infinity the largest is replaced by the lowest number, so that it can be subtracted.
    highest = emitter.named(Value(f"{largest.at(ATOM)}.nan_to_num()", ATOM, rest, REAL), "highest")
    shifted = Value(f"{body.at(SUM)} - {aligned(highest, body.axes, PRODUCT)}", SUM, body.axes, REAL)
    if form.shifted:
        shifted = emitter.named(shifted, "shifted")
    exponentials = Value(f"torch.exp({shifted.code})", ATOM, body.axes, REAL)
    if form.shared:
        exponentials = emitter.named(exponentials, "exponential")
    total = emitter.named(Value(f"{exponentials.code}.sum({dims})", ATOM, rest, REAL), "partition")
    emitter.totals[node] = highest, total
    if form.shared:
        # A sum of exponentials is at least 1. Of nothing it is 0, where nothing is to be divided by it.
        divisor = Value(f"{total.code}.clamp(min=1)", ATOM, rest, REAL) if form.holes else total
        emitter.partitions[node] = exponentials, emitter.named(divisor, "divisor")
    logarithm = Value(f"torch.log({total.code})", ATOM, rest, REAL)
    if form.shifted:
        logarithm = emitter.named(logarithm, "logarithm")
        emitter.shifted[node] = shifted, logarithm
    return Value(f"{highest.code} + {logarithm.code}", SUM, rest, REAL)


def write_joined(emitter: Emitter, node: Node, form: Joined) -> Value:
    """A logsumexp from that of all places but one; a softmax made of it has the same exponentials in all others."""
    others = emitter.values[form.others]
    picked = emitter.picked(emitter.values[form.body], form.axis, emitter.values[form.label])
    picked = emitter.named(picked, "picked")
    axes = in_order((*others.axes, *picked.axes))
    if form.others in emitter.partitions:
        exponentials, _ = emitter.partitions[form.others]
        above, rest = emitter.totals[form.others]
        highest = aligned(above, axes, PRODUCT)
        total = f"{aligned(rest, axes, SUM)} + torch.exp({aligned(picked, axes, SUM)} - {highest})"
        emitter.partitions[node] = exponentials, emitter.named(Value(total, SUM, axes, REAL), "partition")
    return Value(f"torch.logaddexp({aligned(others, axes)}, {aligned(picked, axes)})", ATOM, axes, REAL)


def mask_of(emitter: Emitter, parts: Sequence[Value]) -> Value | None:
    """The conjunction of conditions."""
    parts = sorted({(p.code, p.axes): p for p in parts if p.exact is not True}.values(), key=lambda p: len(p.axes))
    if not parts:
        return None
    if len(parts) == 1:
        return emitter.tensor(parts[0])
    parts = emitter.short(parts)
    key = frozenset((p.code, p.axes) for p in parts)
    if key not in emitter.masks:
        axes = in_order(a for p in parts for a in p.axes)
        code = " & ".join(aligned(emitter.tensor(p), axes, BIT_AND) for p in parts)
        emitter.masks[key] = emitter.named(Value(code, BIT_AND, axes, BOOL), "mask")
    return emitter.masks[key]


def neutral_of(name: str, kind: str) -> str:
    """What excluded places hold."""
    neutral = LINES[name].neutral or "0"
    if neutral in (LOWEST, HIGHEST):
        sign = "-" if neutral == LOWEST else ""
        return f"{sign}math.inf" if kind == REAL else f"{sign}{2**62}"
    return neutral


def masked(emitter: Emitter, name: str, body: Value, mask: Value | None) -> Value:
    """The body with its neutral value in excluded places."""
    if mask is None:
        return body
    axes = in_order((*body.axes, *mask.axes))
    if name == "any":
        code = f"{aligned(mask, axes, BIT_AND)} & {aligned(emitter.tensor(body), axes, BIT_AND)}"
        return Value(code, BIT_AND, axes, BOOL)
    neutral = neutral_of(name, body.kind)
    if name == "sum" and body.number and body.exact == 1:
        return mask
    if body.number:
        body = emitter.tensor(body)
    code = f"torch.where({aligned(mask, axes)}, {aligned(body, axes)}, {neutral})"
    return Value(code, ATOM, axes, body.kind)


def dense(emitter: Emitter, name: str, kind: str, body: Value, parts: Sequence[Value], over: Sequence[Axis]) -> Value:
    """A reduction along dimensions."""
    mask = mask_of(emitter, parts)
    if name == "mean" and mask is not None:
        total = dense(emitter, "sum", REAL, body, [emitter.named(mask, "mask")], over)
        count = dense(emitter, "sum", INT, constant(Fraction(1), INT), [emitter.named(mask, "mask")], over)
        return multiplied(Fraction(1), [total], [count], REAL)
    if kind == REAL and name != "sum":
        body = emitter.real(body)
    value = masked(emitter, name, body, mask)
    present = [a for a in over if a in value.axes]
    absent = [a for a in over if a not in value.axes]
    if present:
        value = _along(emitter, name, kind, value, present)
        if mask is not None and name in _OF_SOMETHING and any(a.root not in emitter.firsts for a in present):
            value = _or_neutral(emitter, name, kind, value, present)
    return _repeated(emitter, name, kind, value, absent, reduced=bool(present))


def _along(emitter: Emitter, name: str, kind: str, value: Value, over: Sequence[Axis]) -> Value:
    line = LINES[name]
    axes = tuple(a for a in value.axes if a not in over)
    if line.one_axis and len(over) > 1:
        value = _merged(value, over)
        dims = "-1"
    else:
        places = [str(value.axes.index(a)) for a in in_order(over)]
        dims = places[0] if len(places) == 1 else tuple_text(places)
    template = line.template
    if name == "sum" and kind != REAL:
        template = template.replace("dtype={wide}", "")
    if not axes and name not in ("logsumexp", "norm", "prod"):
        template = template.replace("{dims}", "")
    template = template.replace("{dims})", "{dim})").replace("{dims}", "{dim}, ").replace(", )", ")")
    code = template.format(x=value.at(line.argument), dim=dims, wide="wide")
    return Value(code, ATOM, axes, kind)


_OF_SOMETHING = frozenset(("max", "min", "argmax", "argmin"))
"""What torch refuses to compute of nothing."""


def _or_neutral(emitter: Emitter, name: str, kind: str, found: Value, over: Sequence[Axis]) -> Value:
    """A filter may leave nothing because there is nothing: what `else` then hides must not fail."""
    count = " * ".join(emitter.size(a).at(PRODUCT) for a in in_order(over))
    shape = tuple_text([emitter.size(a).code for a in found.axes]) if found.axes else "()"
    neutral = "0" if name.startswith("arg") else neutral_of(name, kind)
    dtype = "wide" if kind == REAL else "torch.int64"
    nothing = f"torch.full({shape}, {neutral}, dtype={dtype}, device=device)"
    return Value(f"{found.code} if {count} else {nothing}", TERNARY, found.axes, kind)


def _merged(value: Value, over: Sequence[Axis]) -> Value:
    """Several axes as the last dimension."""
    rest = [a for a in value.axes if a not in over]
    order = [*rest, *in_order(over)]
    code = value.at(ATOM)
    if tuple(order) != value.axes:
        code += f".permute({', '.join(str(value.axes.index(a)) for a in order)})"
    return Value(f"{code}.flatten({len(rest)})", ATOM, value.axes, value.kind)


def _repeated(emitter: Emitter, name: str, kind: str, value: Value, absent: Sequence[Axis], *, reduced: bool) -> Value:
    """The reduction along axes on which the value does not depend."""
    sizes = [emitter.size(a) for a in absent]
    if name in ("argmax", "argmin") and not reduced:
        return constant(Fraction(0), INT)
    if name == "sum":
        if not reduced and value.kind == BOOL:
            value = emitter.whole(value)
        return multiplied(Fraction(1), [*sizes, value], [], kind) if sizes else value
    if reduced and not sizes:
        return value
    count = multiplied(Fraction(1), sizes, [], INT) if sizes else constant(Fraction(1), INT)
    if name == "norm":
        length = value if reduced else Value(f"torch.abs({emitter.tensor(value).code})", ATOM, value.axes, REAL)
        return Value(f"{length.at(UNARY)} * ({count.code}) ** 0.5", UNARY - 1, length.axes, REAL) if sizes else length
    if name == "prod" and sizes:
        return Value(f"{emitter.tensor(value).at(ATOM)} ** ({count.code})", UNARY, value.axes, kind)
    if name == "logsumexp" and sizes:
        return Value(f"{value.at(ATOM)} + math.log({count.code})", SUM, value.axes, REAL, value.number)
    return value


# Filters that compare an index with an axis


def _picked(emitter: Emitter, form: Reduction, body: Value, parts: list[Value]) -> tuple[Value, list[Value]]:
    """The body where the axis equals the label; labels outside the axis select nothing."""
    for axis, label_node in form.hot:
        label = emitter.values[label_node]
        if not label.number:
            label = emitter.named(label, "label")
        inside = []
        if not label.number and label_node.op.name != "index":
            size, first = emitter.size(axis).code, emitter.firsts.get(axis.root, 0)
            stop = size if first == 0 else f"{size} + {first}"
            inside = [Value(f"({label.code} >= {first}) & ({label.code} < {stop})", BIT_AND, label.axes, BOOL)]
        elif label_node.op.name == "index" and label_node.attributes[0].root is not axis.root:
            inside = [Value(f"{label.code} < {emitter.size(axis).code}", 1, label.axes, BOOL)]
        body = emitter.picked(emitter.short([body])[0], axis, label)
        parts = [emitter.picked(p, axis, label) for p in parts] + inside
        body = emitter.named(body, "picked") if len(body.code) > 44 else body
    return body, parts


def _segment(emitter: Emitter, node: Node, form: Reduction, body: Value, parts: list[Value]) -> Value:
    """Each place is added to the segment that its label names, in one pass over the places."""
    assert form.segment is not None
    axis, label_node = form.segment
    name = node.op.name
    if name in ("mean", "norm", "logsumexp"):
        return _segment_of_sums(emitter, node, form, body, parts)
    label, place = _place(emitter, axis, label_node)
    mask = mask_of(emitter, parts)
    if name in ("any", "all"):
        body = emitter.tensor(body)
        body = Value(f"{body.at(ATOM)}.byte()", ATOM, body.axes, INT)
        mode, start = ("amax", "0") if name == "any" else ("amin", "1")
    else:
        mode = {"sum": "sum", "max": "amax", "min": "amin"}[name]
        body = emitter.real(body) if node.kind == REAL else emitter.whole(body)
        start = neutral_of(name, node.kind)
    filled = _filled(emitter, body, mask, start)
    value = _scattered(emitter, filled, place, axis, label.axes, form.axes, mode, start)
    rest = [a for a in form.axes if a not in filled.axes and a not in label.axes]
    if name in ("any", "all"):
        return Value(f"{value.at(ATOM)}.bool()", ATOM, value.axes, BOOL)
    return _repeated(emitter, name, node.kind, value, rest, reduced=True)


def _place(emitter: Emitter, axis: Axis, label_node: Node) -> tuple[Value, Value]:
    """The label, and the segment that each place goes to: what belongs to none goes to one more, which is cut off."""
    label = emitter.named(emitter.values[label_node], "label")
    key = (label.code, label.axes, axis)
    if key not in emitter.places:
        size, first = emitter.size(axis).code, emitter.firsts.get(axis.root, 0)
        stop = size if first == 0 else f"{size} + {first}"
        inside = f"({label.code} >= {first}) & ({label.code} < {stop})"
        shifted = label.code if first == 0 else f"{label.code} - {first}"
        place = Value(f"torch.where({inside}, {shifted}, {size})", ATOM, label.axes, INT)
        emitter.places[key] = emitter.named(place, "place")
    return label, emitter.places[key]


def _filled(emitter: Emitter, body: Value, mask: Value | None, start: str) -> Value:
    if mask is None:
        return body
    body = emitter.tensor(body) if body.number and body.kind == REAL else body
    axes = in_order((*body.axes, *mask.axes))
    return Value(f"torch.where({aligned(mask, axes)}, {aligned(body, axes)}, {start})", ATOM, axes, body.kind)


def _scattered(
    emitter: Emitter,
    body: Value,
    place: Value,
    axis: Axis,
    along: Sequence[Axis],
    over: Sequence[Axis],
    mode: str,
    start: str,
) -> Value:
    """The body's values collected where `place` says: the reduced axes come first and are flattened."""
    over = [a for a in in_order(over) if a in body.axes or a in along]
    kept = [a for a in in_order(body.axes) if a not in over]
    full = emitter.full(body, [*over, *kept])
    where = emitter.full(place, over)
    if [*over, *kept] != list(full.axes):
        full = Value(
            f"{full.at(ATOM)}.permute({', '.join(str(full.axes.index(a)) for a in (*over, *kept))})",
            ATOM,
            full.axes,
            full.kind,
        )
    full = emitter.named(full, "values")
    flat = f".flatten(0, {len(over) - 1})" if len(over) > 1 else ""
    sizes = tuple_text([f"{emitter.size(axis).code} + 1", *(emitter.size(a).code for a in kept)])
    empty = f"{full.code}.new_full({sizes}, {start})" if start != "0" else f"{full.code}.new_zeros({sizes})"
    if mode == "sum":
        code = f"{empty}.index_add(0, {where.at(ATOM)}{flat}, {full.code}{flat})"
    else:
        column = "".join([", None"] * len(kept))
        places = (
            f"{where.at(ATOM)}{flat}[:{column}].expand_as({full.code}{flat})" if kept else f"{where.at(ATOM)}{flat}"
        )
        code = f"{empty}.scatter_reduce(0, {places}, {full.code}{flat}, '{mode}')".replace("'", '"')
    collected = emitter.named(Value(code, ATOM, (), body.kind), "collected")
    return emitter.permuted(Value(f"{collected.code}[:-1]", ATOM, (), body.kind), [axis, *kept])


def _segment_of_sums(emitter: Emitter, node: Node, form: Reduction, body: Value, parts: list[Value]) -> Value:
    """Means, lengths and logsumexps of segments, by way of sums."""
    from lossdsl.backend.segments import write_composite

    return write_composite(emitter, node, form, body, parts, _segment_like)


def _segment_like(emitter: Emitter, node: Node, form: Reduction, name: str, body: Value, parts: list[Value]) -> Value:
    from lossdsl.optable import OPS

    kind = INT if body.kind != REAL else REAL
    stand_in = Node(OPS[name], node.arguments, node.attributes, node.axes, kind, node.range, node.span, node.number)
    return _segment(emitter, stand_in, form, body, parts)


# Operations that keep their axes


def write_scan(emitter: Emitter, node: Node) -> Value:
    """A scan along one dimension, or along several taken as one."""
    over = node.attributes[0]
    if node.op.name == "unit":
        return _unit(emitter, node)
    line = LINES[node.op.name]
    values = emitter.arguments(node.arguments)
    axes = in_order((*values[0].axes, *over.axes))
    body = emitter.full(emitter.real(values[0]) if node.kind == REAL else values[0], axes)
    if node.op.name == "cumsum" and node.kind != REAL:
        body = emitter.whole(body)
    body = emitter.named(body, "values") if line.template.count("{x}") > 1 else body
    places = [axes.index(a) for a in in_order(over.axes)]
    if len(places) == 1 or not line.one_axis:
        dims = str(places[0]) if len(places) == 1 else tuple_text([str(p) for p in places])
        return Value(_scan_text(emitter, node, body, values, axes, dims), line.level, axes, node.kind)
    order = [i for i in range(len(axes)) if i not in places] + places
    back = [order.index(i) for i in range(len(axes))]
    moved = f"{body.at(ATOM)}.permute({', '.join(map(str, order))}).flatten({len(axes) - len(places)})"
    inner = Value(moved, ATOM, axes, body.kind)
    code = _scan_text(emitter, node, emitter.named(inner, "flat"), values, axes, "-1")
    sizes = ", ".join(emitter.size(axes[p]).code for p in places)
    sizes = f"({sizes})"
    code = f"({code}).unflatten(-1, {sizes}).permute({', '.join(map(str, back))})"
    return Value(code, ATOM, axes, node.kind)


def length_of(emitter: Emitter, body: Node, over: Sequence[Axis]) -> Value:
    """The length of a vector, computed once; the vector itself is kept under a name."""
    key = (body, tuple(over))
    if key not in emitter.lengths:
        emitter.values[body] = emitter.named(emitter.values[body], "vector")
        length = dense(emitter, "norm", REAL, emitter.values[body], [], over)
        emitter.lengths[key] = emitter.named(length, "length")
    return emitter.lengths[key]


def _unit(emitter: Emitter, node: Node) -> Value:
    """A vector over its length; the zero vector stays zero."""
    body, over = node.arguments[0], node.attributes[0].axes
    length = length_of(emitter, body, over)
    nonzero = Value(f"torch.where({length.code} > 0, {length.code}, 1)", ATOM, length.axes, REAL)
    return multiplied(Fraction(1), [emitter.values[body]], [nonzero], REAL)


def _scan_text(
    emitter: Emitter, node: Node, body: Value, values: Sequence[Value], axes: Sequence[Axis], dims: str
) -> str:
    line = LINES[node.op.name]
    second = aligned(values[1], axes, UNARY) if len(values) > 1 else ""
    text = body.at(line.argument if line.argument else TERNARY)
    reverse = node.op.name == "cumsum" and node.attributes[0].option("reverse", False)
    if reverse:
        text = f"{text}.flip({dims})"
    code = line.template.format(x=text, y=second, dim=dims, wide="wide")
    return f"{code}.flip({dims})" if reverse else code
