"""Graphs as torch source: one readable statement after another.

A value keeps only the dimensions along which it varies, in the order of its axes, and is broadcast where it meets
another. What is used once and is short stands inside the expression that uses it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from lossdsl.backend import arithmetic, reductions
from lossdsl.backend.arithmetic import multiplied
from lossdsl.backend.kinds import Forms, Joined, LogSoftmax, Product, Reduction, Softmax, Sum, Written
from lossdsl.backend.text import Names, Value, aligned, constant, in_order, negated, tuple_text
from lossdsl.backend.torch_ops import ATOM, COMPARE, LINES, PREAMBLES, SUM, TERNARY, UNARY
from lossdsl.graph import BOOL, INT, REAL, Axis, Node
from lossdsl.source import Source, Span

_NESTED = 44
_LINE = 100
_HINTS = {
    "add": "total", "mul": "product", "pow": "power", "select": "chosen", "logsumexp": "log_total", "not": "other",
    "softmax": "probability", "log_softmax": "log_probability", "sigmoid": "probability", "eq": "same", "and": "mask",
    "or": "mask", "lt": "below", "le": "within", "pick": "picked", "norm": "length", "unit": "direction",
    "max": "largest", "min": "smallest", "any": "found", "all": "every", "sum": "total", "expm1": "excess",
    "exp": "exponential", "log": "logarithm", "mean": "average", "gap": "margin", "abs": "magnitude", "rename": "across",
}  # fmt: skip


class Emitter:
    """Writes the statements that compute the nodes of some roots."""

    def __init__(
        self,
        plan: Forms,
        names: Names,
        leaves: Mapping[Node, str],
        sizes: Mapping[Axis, str],
        firsts: Mapping[Axis, int],
        source: Source | None = None,
        known: Mapping[Node, str] | None = None,
        numbers: Mapping[str, Fraction | float | bool] | None = None,
        *,
        fused: bool = False,
    ) -> None:
        self.plan = plan
        self.names = names
        self.leaves = leaves
        self.sizes = sizes
        self.firsts = firsts
        self.known = known or {}
        self.numbers = numbers or {}
        self.fused = fused
        self.lines: list[str] = []
        self.values: dict[Node, Value] = {}
        self.indices: dict[Axis, str] = {}
        self.lengths: dict[tuple[Node, tuple[Axis, ...]], Value] = {}
        self.places: dict[tuple[str, tuple[Axis, ...], Axis], Value] = {}
        self.masks: dict[frozenset[tuple[str, tuple[Axis, ...]]], Value] = {}
        self.columns: dict[tuple[str, tuple[Axis, ...], Axis], str] = {}
        self.sums: dict[tuple[Fraction, frozenset[tuple[int, Product]]], Value] = {}
        self.written_products: dict[Product, Value] = {}
        self._all_products = {f for f in plan.chosen.values() if isinstance(f, Product)}
        self._sums = Counter(f.same(s) for f in plan.chosen.values() if isinstance(f, Sum) for s in (1, -1))
        self.partitions: dict[Node, tuple[Value, Value]] = {}
        """Of logsumexps: the exponentials, and what to divide them by."""
        self.totals: dict[Node, tuple[Value, Value]] = {}
        """Of logsumexps: what was subtracted before the exponentials were taken, and their sum."""
        self.shifted: dict[Node, tuple[Value, Value]] = {}
        """Of those wanted for a log-softmax: what is left after that, and the logarithm of the sum."""
        self.shares: dict[Node, tuple[Value, Value]] = {}
        """Of the softmaxes made of them, the same."""
        self.helpers: set[str] = set()
        self.span: Span | None = None
        self._named: dict[str, str] = {}
        self._source = source
        self._commented: set[int] = set()

    def run(self) -> None:
        for node in self.plan.order:
            self.span = node.span
            value = self._write(node)
            if node in self.plan.real:
                value = self.real(value)
            if not isinstance(self.plan.chosen.get(node), Softmax):
                value = self._settled(node, value)
            self.values[node] = value
            if node.op.name == "and" and value.is_name:
                parts = (self.values[a] for a in node.arguments)
                self.masks.setdefault(frozenset((p.code, p.axes) for p in parts), value)

    # Values

    def _settled(self, node: Node, value: Value) -> Value:
        """A value as it is kept: nested where it is used once and short, named otherwise."""
        uses = self.plan.uses[node]
        if value.is_name or value.number or self._trivial(value):
            return value
        if value.code in self._named:
            return self.named(value, "")
        if node in self.known and uses:
            return self.named(value, self.known[node])
        if uses > 1 or len(value.code) > _NESTED:
            return self.named(value, _HINTS.get(node.op.name, node.op.name))
        return value

    def _trivial(self, value: Value) -> bool:
        return re.fullmatch(r"~?\w+(\.T)?", value.code) is not None

    def named(self, value: Value, hint: str) -> Value:
        """The value under a name of its own, so that its text can stand in several places."""
        if value.is_name or (value.number and len(value.code) < _NESTED):
            return value
        # Each name is given once, so that the same text is the same value: distances to two copies of an axis, say.
        name = self._named.get(value.code)
        if name is None:
            self._named[value.code] = name = self.names.fresh(hint)
            self._comment()
            self.lines.append(f"{name} = {value.code}")
        return Value(name, ATOM, value.axes, value.kind, value.number, value.exact)

    def _comment(self) -> None:
        """The line of the spec, where the code for it begins."""
        if self.span is None or self.span.source is not self._source or self._source is None:
            return
        number = self._source.position(self.span.start)[0]
        if number not in self._commented:
            self._commented.add(number)
            text = self._source.line(number).partition("#")[0].strip()
            if text:
                self.lines.append(f"# {text}"[:_LINE])

    def short(self, values: list[Value]) -> list[Value]:
        """The values of one expression, the longest of them named until it fits a line."""
        values = list(values)
        while sum(len(v.code) for v in values) > _LINE - 16:
            longest = max(range(len(values)), key=lambda i: 0 if values[i].is_name else len(values[i].code))
            short = self.named(values[longest], "part")
            if short is values[longest]:
                break
            values[longest] = short
        return values

    def arguments(self, nodes: Sequence[Node]) -> list[Value]:
        return self.short([self.values[n] for n in nodes])

    def tensor(self, value: Value) -> Value:
        """A number as a tensor without dimensions."""
        if not value.number:
            return value
        if value.kind == BOOL:
            return Value(f"torch.full((), {value.code}, device=device)", ATOM, (), BOOL)
        return Value(f"torch.full((), {value.code}, dtype=wide, device=device)", ATOM, (), REAL)

    def real(self, value: Value) -> Value:
        """A whole number or condition in the dtype of real values."""
        if value.kind == REAL or (value.number and value.kind == BOOL):
            return value
        if value.number:
            return replace(value, kind=REAL)
        return Value(f"{value.at(ATOM)}.to(wide)", ATOM, value.axes, REAL)

    def whole(self, value: Value) -> Value:
        """A condition as 0 and 1."""
        if value.kind != BOOL:
            return value
        if value.number:
            return constant(Fraction(bool(value.exact)), INT)
        return Value(f"{value.at(ATOM)}.long()", ATOM, value.axes, INT)

    def size(self, axis: Axis) -> Value:
        found = self.sizes[axis.root]
        number = Fraction(int(found)) if re.fullmatch(r"\d+", found) else None
        return Value(found, ATOM, (), INT, True, number)

    def full(self, value: Value, axes: Sequence[Axis]) -> Value:
        """The value with a dimension for each of the axes; a view."""
        axes = in_order(axes)
        if not value.number and value.axes == axes:
            return value
        sizes = tuple_text([self.size(a).code for a in axes]) if axes else "()"
        if value.number:
            dtype = "" if value.kind == BOOL else ", dtype=wide" if value.kind == REAL else ", dtype=torch.int64"
            return Value(f"torch.full({sizes}, {value.code}{dtype}, device=device)", ATOM, axes, value.kind)
        return Value(f"{aligned(value, axes, ATOM)}.expand({sizes[1:-1].rstrip(',')})", ATOM, axes, value.kind)

    def permuted(self, value: Value, axes: Sequence[Axis]) -> Value:
        """A value whose dimensions lie as `axes` say, with its dimensions in order."""
        order = in_order(axes)
        if tuple(axes) == order:
            return Value(value.code, value.level, order, value.kind)
        if len(order) == 2:
            return Value(f"{value.at(ATOM)}.T", ATOM, order, value.kind)
        places = ", ".join(str(list(axes).index(a)) for a in order)
        return Value(f"{value.at(ATOM)}.permute({places})", ATOM, order, value.kind)

    # One method for each kind of node

    def _write(self, node: Node) -> Value:
        form = self.plan.chosen.get(node)
        if isinstance(form, Product):
            return arithmetic.write_product(self, node, form)
        if isinstance(form, Reduction):
            return self._counted(node, reductions.write(self, node, form))
        if isinstance(form, LogSoftmax):
            return arithmetic.write_log_softmax(self, form)
        if isinstance(form, Sum) or node.op.name == "add":
            return arithmetic.write_sum(self, node, form if isinstance(form, Sum) else None)
        if isinstance(form, Joined):
            return reductions.write_joined(self, node, form)
        if isinstance(form, Written):
            return self._written(form)
        if isinstance(form, Softmax):
            self.shares[node] = exponentials, total = self.partitions[form.total]
            return multiplied(Fraction(1), [exponentials], [total], REAL)
        writer = _WRITERS.get(node.op.name)
        if writer is not None:
            return writer(self, node)
        if node.op.family == "scan":
            return self._counted(node, reductions.write_scan(self, node))
        return self._elementwise(node)

    def _counted(self, node: Node, value: Value) -> Value:
        """A place along an axis, which torch counts from 0, as the axis counts."""
        over = node.attributes[0].axes
        first = self._first(over[0].root) if node.op.indexes and len(over) == 1 else 0
        return Value(f"{value.at(SUM)} + {first}", SUM, value.axes, INT, value.number) if first != 0 else value

    def _elementwise(self, node: Node) -> Value:
        line = LINES[node.op.name]
        values = self.arguments(node.arguments)
        folded = self._folded(node, values)
        if folded is not None:
            return folded
        if all(v.number for v in values) and line.number is not None:
            if node.op.name == "log" and values[0].exact == 0:
                return constant(-math.inf, REAL)  # Python's math.log would raise.
            if node.op.name in ("and", "or"):
                return Value(line.number.join(v.at(ATOM) for v in values), TERNARY, (), BOOL, True)
            code = line.number.format(**dict(zip("xyzw", (v.at(ATOM) for v in values), strict=False)))
            return Value(code, ATOM if code[-1] == ")" else line.level, (), node.kind, True)
        axes = in_order(a for v in values for a in v.axes)
        if node.op.name in ("and", "or"):
            parts = [aligned(self.tensor(v), axes, line.argument) for v in values]
            return Value(line.template.join(parts), line.level, axes, BOOL)
        values = self._bounded(node, values)
        if node.kind == REAL:
            values = [self.real(v) for v in values]
        if node.op.name in _FLIPPED and values[0].number:
            return Value(
                f"{values[1].at(line.argument)} {_FLIPPED[node.op.name]} {values[0].at(line.argument)}",
                COMPARE,
                axes,
                BOOL,
            )
        if node.op.name == "not" and " == " in values[0].code and values[0].level == COMPARE:
            return Value(values[0].code.replace(" == ", " != "), COMPARE, axes, BOOL)
        if node.op.name == "polygamma" and values[0].exact == 1:
            # torch.polygamma(1, x) has half the digits of float64; the other has no derivative in torch.
            self.helpers.update(() if self.fused else ("trigamma",))
            return Value(
                f"{'torch.special.zeta(2, ' if self.fused else 'trigamma('}{values[1].code})", ATOM, axes, REAL
            )
        opposite = negated(values[0]) if node.op.name == "softplus" else None
        if opposite is not None:
            return Value(f"-F.logsigmoid({opposite.code})", UNARY, axes, REAL)
        if any(line.template.count("{" + letter + "}") > 1 for letter in "xyzw"):
            values = [self.named(v, "value") for v in values]
        if node.op.name in PREAMBLES:
            # The helper, and those that it calls.
            self.helpers.update(h for h in PREAMBLES if f"{h}(" in PREAMBLES[node.op.name])
        level = line.argument if line.level != ATOM or "torch" not in line.template else TERNARY
        texts = [aligned(v, axes, level) for v in values]
        code = line.template.format(**dict(zip("xyzw", texts, strict=False)))
        return Value(code, line.level, axes, node.kind)

    def _folded(self, node: Node, values: list[Value]) -> Value | None:
        """Conditions that are known: `not true`, `true and x`."""
        name = node.op.name
        if name == "not" and values[0].exact is not None:
            return constant(not values[0].exact, BOOL)
        if name in ("and", "or"):
            decisive = name == "or"
            if any(v.exact is decisive for v in values):
                return constant(decisive, BOOL)
            values[:] = [v for v in values if v.exact is not (not decisive)]
            if len(values) < 2:
                return values[0] if values else constant(not decisive, BOOL)
        return None

    def _bounded(self, node: Node, values: list[Value]) -> list[Value]:
        """Numbers as tensors, where torch wants them."""
        comparison = node.op.name in ("eq", "lt", "le", "mod", "topk")
        if comparison and not all(v.number for v in values):
            if node.op.name == "mod" and values[0].number:
                return [self.tensor(values[0]), values[1]]
            if any(v.kind == BOOL for v in values) and not all(v.kind == BOOL for v in values):
                return [self.whole(v) for v in values]
            return values
        if node.op.name == "polygamma":
            return [values[0], self.tensor(values[1])]
        return [self.tensor(v) for v in values]

    def _leaf(self, node: Node) -> Value:
        if node not in self.leaves:
            # A hyper that fixes an axis: derivatives ask for the size in terms of it.
            return constant(self.numbers[node.attributes[0].name], node.kind)
        return Value(self.leaves[node], ATOM, in_order(node.axes), node.kind)

    def _constant(self, node: Node) -> Value:
        return constant(node.value, node.kind)

    def _index(self, node: Node) -> Value:
        axis: Axis = node.attributes[0]
        root = axis.root
        if root not in self.indices:
            first, size = self._first(root), self.size(root).code
            limits = size
            if first != 0:
                stop = f"{int(size) + first}" if size.isdigit() else f"{size} + {first}"
                limits = f"{first}, {stop}"
            name = self.names.fresh(f"{root.name.lower()}_index")
            self.lines.append(f"{name} = torch.arange({limits}, device=device)")
            self.indices[root] = name
        return Value(self.indices[root], ATOM, (axis,), INT)

    def _first(self, axis: Axis) -> int:
        return self.firsts.get(axis.root, 0)

    def _size(self, node: Node) -> Value:
        return self.size(node.attributes[0])

    def _rename(self, node: Node) -> Value:
        x = self.values[node.arguments[0]]
        swap = dict(node.attributes)
        return x if x.number else self.permuted(x, [swap.get(a, a) for a in x.axes])

    def _same(self, node: Node) -> Value:
        return self.values[node.arguments[0]]

    def _stop(self, node: Node) -> Value:
        x = self.values[node.arguments[0]]
        if x.number or node.kind != REAL:
            return x
        return Value(f"{x.at(ATOM)}.detach()", ATOM, x.axes, x.kind)

    def _scale_gradient(self, node: Node) -> Value:
        x, factor = self.arguments(node.arguments)
        if self.fused or x.number:
            return x
        x, factor = self.named(self.real(x), "value"), self.named(factor, "factor")
        axes = in_order((*x.axes, *factor.axes))
        whole, scale = aligned(x, axes, ATOM), aligned(factor, axes, ATOM)
        return Value(f"{whole}.detach() + {scale} * ({whole} - {whole}.detach())", SUM, axes, REAL)

    def _select(self, node: Node) -> Value:
        condition, then, otherwise = self.arguments(node.arguments)
        if condition.exact is not None:
            return then if condition.exact else otherwise
        if condition.number:
            code = f"{then.at(COMPARE)} if {condition.at(COMPARE)} else {otherwise.at(COMPARE)}"
            if then.axes != otherwise.axes or then.number != otherwise.number:
                axes = in_order((*then.axes, *otherwise.axes))
                numbers = (replace(v, kind=node.kind) if v.number else v for v in (then, otherwise))
                then, otherwise = (self.full(v, axes) for v in numbers)
                code = f"{then.at(COMPARE)} if {condition.at(COMPARE)} else {otherwise.at(COMPARE)}"
            return Value(code, TERNARY, then.axes, node.kind, then.number)
        axes = in_order((*condition.axes, *then.axes, *otherwise.axes))
        if node.kind == REAL:
            then, otherwise = self.real(then), self.real(otherwise)
        if then.number and otherwise.number and not (_exact(then) and _exact(otherwise)):
            then = self.tensor(then)
        texts = [aligned(v, axes) for v in (condition, then, otherwise)]
        # Of two numbers torch makes its default dtype, and later a float32 tensor out of float64 ones.
        cast = ".to(wide)" if then.number and otherwise.number and node.kind == REAL else ""
        return Value(f"torch.where({', '.join(texts)}){cast}", ATOM, axes, node.kind)

    def recurs(self, form: Sum) -> bool:
        """Whether the sum or its opposite is needed more than once."""
        return self._sums[form.same(1)] > 1

    def has_opposite(self, form: Product) -> bool:
        """Whether the product is needed with the other sign too."""
        return replace(form, coefficient=-form.coefficient) in self._all_products

    def _written(self, form: Written) -> Value:
        inside, outside = self.real(self.values[form.inside]), self.values[form.outside]
        if form.mask is not None:
            inside, outside = (self._where(self.values[form.mask], v) for v in (inside, outside))
        return self.written(outside, form.axis, self.values[form.label], inside)

    def _where(self, condition: Value, x: Value) -> Value:
        """x where a condition holds, and 0 elsewhere."""
        condition, x = self.tensor(condition), self.tensor(x)
        axes = in_order((*condition.axes, *x.axes))
        return Value(f"torch.where({aligned(condition, axes)}, {aligned(x, axes)}, 0)", ATOM, axes, REAL)

    def written(self, x: Value, axis: Axis, label: Value, inside: Value) -> Value:
        """x with another value where the axis equals a label, which lies inside the axis."""
        others = tuple(a for a in x.axes if a is not axis)
        if not inside.number:
            inside = Value(self._column(self.full(self.named(inside, "inside"), others), axis, x), ATOM, (), REAL)
        place = self.column(x, axis, label)
        return Value(f"{x.at(ATOM)}.scatter({x.axes.index(axis)}, {place}, {inside.code})", ATOM, x.axes, REAL)

    def column(self, x: Value, axis: Axis, label: Value) -> str:
        """The places that a label names along an axis of x, as an index tensor."""
        key = (label.code, x.axes, axis)
        if key not in self.columns:
            others = tuple(a for a in x.axes if a is not axis)
            index = self.full(self._inside(label, axis, self._first(axis.root)), others)
            self.columns[key] = self.named(Value(self._column(index, axis, x), ATOM, (), INT), "place").code
        return self.columns[key]

    def _column(self, value: Value, axis: Axis, x: Value) -> str:
        """A value that lacks one of the axes of x, with a dimension of size 1 in its place."""
        return f"{value.at(ATOM)}[{', '.join('None' if a is axis else ':' for a in x.axes)}]"

    def _pick(self, node: Node) -> Value:
        x, index = self.arguments(node.arguments)
        return self.picked(x, node.attributes[0], index)

    def picked(self, x: Value, axis: Axis, index: Value) -> Value:
        """The value at an index, which may lie outside the axis where nothing counts."""
        if axis not in x.axes:
            return x
        first = self._first(axis.root)
        others = tuple(a for a in x.axes if a is not axis)
        place = x.axes.index(axis)
        if index.number and index.exact is not None:
            colons = ", ".join([*(":" for _ in range(place)), str(int(index.exact) - first)])
            return Value(f"{x.at(ATOM)}[{colons}]", ATOM, others, x.kind)
        label, index = index, self._inside(index, axis, first)
        if index.number:
            index = Value(f"torch.full((), {index.code}, device=device)", ATOM, (), INT)
        new = in_order((*others, *index.axes))
        if not index.axes or (len(index.axes) == 1 and (index.axes[0] is axis or index.axes[0] not in others)):
            return self._selected(x, axis, index)
        if axis not in index.axes and set(index.axes) <= set(others):
            places = self.column(x, axis, label)
            return Value(f"{x.at(ATOM)}.gather({place}, {places}).squeeze({place})", ATOM, others, x.kind)
        # The result has the index's axes too: the axis picked from becomes the last dimension.
        last = Value(self._last(x, axis).at(ATOM), ATOM, others, x.kind)
        wide = self._behind(last, new, self.size(axis).code)
        places = f"{self.full(index, new).at(ATOM)}.unsqueeze(-1)"
        return Value(f"{wide}.gather(-1, {places}).squeeze(-1)", ATOM, new, x.kind)

    def _selected(self, x: Value, axis: Axis, index: Value) -> Value:
        """A pick by a list of places, which stands for the axis."""
        place = x.axes.index(axis)
        if not index.axes:
            axes = tuple(a for a in x.axes if a is not axis)
            return Value(
                f"{x.at(ATOM)}.index_select({place}, {index.at(ATOM)}.reshape(1)).squeeze({place})", ATOM, axes, x.kind
            )
        picked = Value(f"{x.at(ATOM)}.index_select({place}, {index.code})", ATOM, (), x.kind)
        return self.permuted(picked, [index.axes[0] if a is axis else a for a in x.axes])

    def _last(self, x: Value, axis: Axis) -> Value:
        place = x.axes.index(axis)
        if place == len(x.axes) - 1:
            return x
        return Value(f"{x.at(ATOM)}.movedim({place}, -1)", ATOM, x.axes, x.kind)

    def _behind(self, x: Value, axes: Sequence[Axis], size: str) -> str:
        """x, whose last dimension is not among its axes, expanded to the given axes before it."""
        places = ", ".join(":" if a in x.axes else "None" for a in axes)
        sizes = ", ".join([*(self.size(a).code for a in axes), size])
        return f"{x.at(ATOM)}[{places}].expand({sizes})"

    def _inside(self, index: Value, axis: Axis, first: int) -> Value:
        """An index from 0, kept inside the axis."""
        size = self.size(axis).code
        if index.number:
            return index
        code = index.at(ATOM) if index.kind == INT else f"{index.at(ATOM)}.long()"
        if first != 0:
            code = f"({index.at(SUM)} - {first})"
        highest = str(int(size) - 1) if size.isdigit() else f"{size} - 1"
        return Value(f"{code}.clamp(0, {highest})", ATOM, index.axes, INT)


def _exact(value: Value) -> bool:
    """Whether a number loses nothing in torch's default dtype."""
    return value.exact is not None and float(value.exact) * 1024 % 1 == 0 and abs(float(value.exact)) < 8192


_FLIPPED = {"eq": "==", "lt": ">", "le": ">="}
_WRITERS = {
    "leaf": Emitter._leaf,
    "constant": Emitter._constant,
    "index": Emitter._index,
    "size": Emitter._size,
    "rename": Emitter._rename,
    "expand": Emitter._same,
    "outer": Emitter._same,
    "stop": Emitter._stop,
    "scale_gradient": Emitter._scale_gradient,
    "select": Emitter._select,
    "pick": Emitter._pick,
    "pow": arithmetic.write_power,
}
