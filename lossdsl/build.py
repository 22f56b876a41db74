"""Making nodes conveniently: arithmetic with exact constants, comparisons, selections, reductions.

Subtraction, division and roots are not operations of their own: `a - b` is `a + (-1) * b`, `a / b` is
`a * b^-1` and a square root is `x^(1/2)`. One way to write each thing keeps rules and derivatives short.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from lossdsl.graph import BOOL, INT, REAL, Axis, Graph, Node
from lossdsl.ops import Leaf, Op, Over
from lossdsl.optable import OPS

# An exact power is worked out only while it stays this small; else it stays a node.
_EXACT_EXPONENT = 64
_EXACT_DIGITS = 60
_EXACT_BITS = 4096
_TOO_LARGE = 2**1025
# Fractions take microseconds to make, and these are asked for at every step.
_ZERO, _ONE, _MINUS_ONE = Fraction(0), Fraction(1), Fraction(-1)


class Builder(Graph):
    """A graph with a method for each common operation."""

    def __init__(self, limit: int | None = None) -> None:
        super().__init__(limit)
        self._fractions: dict[tuple[int, int], Node] = {}

    def plainly(self) -> Builder:
        """A builder of nodes of the same graph that leaves them as they are asked for."""
        plain = Builder(self._limit)
        plain._interned = self._interned
        return plain

    def constant(self, value: Fraction | float | bool) -> Node:
        if isinstance(value, bool):
            return self.node(OPS["constant"], (), (value, BOOL))
        if isinstance(value, float):
            return self.node(OPS["constant"], (), (value, REAL))
        # Hashing a fraction takes a division, and the same few constants are asked for at every step.
        key = (value.numerator, value.denominator)
        found = self._fractions.get(key)
        if found is None:
            exact = value if type(value) is Fraction else Fraction(value)
            found = self.node(OPS["constant"], (), (exact, INT if key[1] == 1 else REAL))
            self._fractions[key] = found
        return found

    def leaf(self, leaf: Leaf) -> Node:
        return self.node(OPS["leaf"], (), (leaf,))

    def index(self, axis: Axis) -> Node:
        return self.node(OPS["index"], (), (axis,))

    def size(self, axis: Axis) -> Node:
        root = axis.root
        if root.first is not None and root.last is not None:
            return self.add(root.last, self.negative(root.first), self.constant(Fraction(1)))
        return self.node(OPS["size"], (), (root,))

    def apply(self, op: Op | str, *arguments: Node) -> Node:
        """An elementwise or structural operation."""
        row = OPS[op] if isinstance(op, str) else op
        return self.node(row, arguments)

    # Arithmetic

    def add(self, *terms: Node) -> Node:
        constants = [_exact(t) for t in terms]
        total: Fraction | None = None
        for c in constants:
            if c is not None:
                total = c if total is None else _short(total + c)
        rest = [t for t, c in zip(terms, constants, strict=True) if c is None]
        if total is None:
            total = _ZERO
        if total != 0 or not rest:
            rest.append(self.constant(total))
        return rest[0] if len(rest) == 1 else self.node(OPS["add"], rest)

    def mul(self, *factors: Node) -> Node:
        constants = [_exact(f) for f in factors]
        total: Fraction | None = None
        for c in constants:
            if c is not None:
                total = c if total is None else _short(total * c)
        rest = [f for f, c in zip(factors, constants, strict=True) if c is None]
        if total is None:
            total = _ONE
        if total != 1 or not rest:
            rest.append(self.constant(total))
        return rest[0] if len(rest) == 1 else self.node(OPS["mul"], rest)

    def negative(self, x: Node) -> Node:
        return self.mul(self.constant(_MINUS_ONE), x)

    def subtract(self, x: Node, y: Node) -> Node:
        return self.add(x, self.negative(y))

    def divide(self, x: Node, y: Node) -> Node:
        return self.mul(x, self.power(y, self.constant(Fraction(-1))))

    def power(self, base: Node, exponent: Node) -> Node:
        b, e = _exact(base), _exact(exponent)
        if e == 1:
            return base
        if b is not None and e is not None and e.denominator == 1 and (b != 0 or e > 0):
            digits = len(str(b.numerator)) + len(str(b.denominator))
            short = abs(e) <= _EXACT_EXPONENT and abs(e) * digits <= _EXACT_DIGITS * 4
            if short or b in (-1, 0, 1):
                return self.constant(b ** int(e))
        return self.node(OPS["pow"], (base, exponent))

    def sqrt(self, x: Node) -> Node:
        return self.power(x, self.constant(Fraction(1, 2)))

    # Conditions

    def compare(self, operator: str, x: Node, y: Node) -> Node:
        if operator in (">", ">="):
            return self.compare("<" if operator == ">" else "<=", y, x)
        if operator == "!=":
            return self.negation(self.compare("==", x, y))
        a, b = _exact(x), _exact(y)
        if a is not None and b is not None:
            return self.constant({"==": a == b, "<": a < b, "<=": a <= b}[operator])
        return self.apply({"==": "eq", "<": "lt", "<=": "le"}[operator], x, y)

    def negation(self, x: Node) -> Node:
        if x.is_constant:
            return self.constant(not x.value)
        return x.arguments[0] if x.op.name == "not" else self.apply("not", x)

    def conjunction(self, conditions: Iterable[Node]) -> Node:
        return self._logic("and", conditions, absorbing=False)

    def disjunction(self, conditions: Iterable[Node]) -> Node:
        return self._logic("or", conditions, absorbing=True)

    def _logic(self, name: str, conditions: Iterable[Node], *, absorbing: bool) -> Node:
        parts: dict[Node, None] = {}
        for condition in conditions:
            if condition.is_constant:
                if condition.value is absorbing:
                    return condition
                continue
            parts.update(dict.fromkeys(condition.arguments if condition.op.name == name else (condition,)))
        if not parts:
            return self.constant(not absorbing)
        return next(iter(parts)) if len(parts) == 1 else self.node(OPS[name], tuple(parts))

    def select(self, condition: Node, x: Node, y: Node) -> Node:
        if condition.is_constant:
            return x if condition.value else y
        return x if x is y else self.apply("select", condition, x, y)

    # Axes

    def reduce(
        self, op: Op | str, axes: Sequence[Axis], x: Node, where: Node | None = None, *, local: bool = False
    ) -> Node:
        row = OPS[op] if isinstance(op, str) else op
        if not axes:
            return x
        if where is not None and where.is_constant and where.value is True:
            where = None
        return self.node(row, (x,) if where is None else (x, where), (Over(tuple(axes), local),))

    def scan(self, op: Op | str, axes: Sequence[Axis], *arguments: Node, **options: object) -> Node:
        row = OPS[op] if isinstance(op, str) else op
        return self.node(row, arguments, (Over(tuple(axes), False, tuple(sorted(options.items()))),))

    def rename(self, x: Node, swap: Mapping[Axis, Axis]) -> Node:
        used = tuple((a, swap[a]) for a in x.axes if a in swap)
        return self.node(OPS["rename"], (x,), used) if used else x

    def expand(self, x: Node, axes: Sequence[Axis]) -> Node:
        """The same value along further axes."""
        new = tuple(a for a in axes if a not in x.axes)
        return self.node(OPS["expand"], (x,), new) if new else x

    def pick(self, x: Node, axis: Axis, index: Node) -> Node:
        return self.node(OPS["pick"], (x, index), (axis,)) if axis in x.axes else x


def _short(value: Fraction) -> Fraction:
    """A constant whose exact digits cost no time: beyond a few hundred they are rounded, or the value overflows."""
    if value.numerator.bit_length() + value.denominator.bit_length() <= _EXACT_BITS:
        return value
    try:
        return Fraction(float(value))
    except OverflowError:
        return Fraction(_TOO_LARGE if value > 0 else -_TOO_LARGE)


def _exact(node: Node) -> Fraction | None:
    """The exact value of a numeric constant."""
    if node.is_constant and isinstance(node.value, Fraction):
        return node.value
    return None


def conjuncts(condition: Node) -> tuple[Node, ...]:
    """The conditions that must all hold."""
    return condition.arguments if condition.op.name == "and" else (condition,)


def readings(condition: Node) -> list[tuple[Axis, Node]]:
    """The readings of a condition as `C == x`: the axis whose index is compared, and with what."""
    if condition.op.name != "eq":
        return []
    x, y = condition.arguments
    return [(index.attributes[0], other) for index, other in ((x, y), (y, x)) if index.op.name == "index"]
