"""Expressions: from syntax to typed nodes.

Every check that belongs to one expression is made here: names, kinds, axes, accidental outer products.
Calls are in `lossdsl.calls`, renames and picks in `lossdsl.substitution`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

from lossdsl import ast
from lossdsl.diagnostics import nearest
from lossdsl.graph import BOOL, INT, Axis, Node
from lossdsl.indices import freely_combined, indexed_axis
from lossdsl.ops import Leaf
from lossdsl.ranges import NATURALS
from lossdsl.scope import Along, Failed, Scope, Session, along_of, described, source_of

if TYPE_CHECKING:
    from lossdsl.modules import Module

CONSTANTS: dict[str, float] = {"pi": math.pi, "infinity": math.inf}
RESERVED_VALUES = {*CONSTANTS, "step"}
"""Names that mean the same everywhere and cannot be given to anything else."""
_OVERFLOW = Fraction(2) ** 1024


def _overflows(value: Fraction) -> bool:
    """Whether a number is beyond float64; nearly all are told by their digits."""
    return value.numerator.bit_length() > 1024 and abs(value) >= _OVERFLOW


class Elaborator:
    """Elaborates the expressions of one definition or loss, in one scope."""

    def __init__(self, session: Session, module: Module, scope: Scope) -> None:
        self.session = session
        self.module = module
        self.scope = scope
        self.graph = session.graph
        filters = [along.filter for along in scope.along.values() if along.filter is not None]
        self._brought = frozenset(axis for f in filters for axis in freely_combined(f))
        """The axes that a filter of the caller brings by their index: `G` of `var[B where bag == G else 0](x)`."""

    def expression(self, e: ast.Expression) -> Node:
        """The node of an expression. Raises Failed after reporting what is wrong."""
        # `_RULES` has an entry for each class of expression; a list stands only in defaults, by the grammar.
        # Nesting is limited before elaboration.
        self.session.spend(1, e.span)
        node = _RULES[type(e)](self, e)
        if node.is_constant and isinstance(node.value, Fraction) and _overflows(node.value):
            raise self.session.error("E0018", e.span)
        return node

    def condition(self, e: ast.Expression, what: str) -> Node:
        node = self.expression(e)
        if node.kind != BOOL:
            advice = f"compare it: `{source_of(e)} > 0`"
            raise self.session.error(
                "E0230",
                e.span,
                what=what,
                expected="a condition",
                found=f"`{described(node)}`",
                advice=advice,
            )
        return node

    def try_expression(self, e: ast.Expression) -> Node | None:
        """As `expression`, but None after an error."""
        try:
            return self.expression(e)
        except Failed:
            return None

    def expressions(self, operands: Iterable[ast.Expression]) -> list[Node]:
        """The nodes of several expressions; every one is looked at before Failed is raised."""
        nodes = [self.try_expression(operand) for operand in operands]
        known = [n for n in nodes if n is not None]
        if len(known) < len(nodes):
            raise Failed
        return known

    def along(self, word: ast.Word) -> Along:
        """What an axis name stands for."""
        found = self.scope.along.get(word.text)
        if found is not None:
            return found
        if word.text in self.scope.failed:
            raise Failed
        if word.text in self.scope.later:
            raise self.used_early(word)
        if word.text in self.scope.values:
            value = self.scope.values[word.text]
            advice = f"`{word.text}` is a value, `{described(value)}`; {_known_axes(self.scope)}"
        else:
            near = nearest(word.text, self.scope.along)
            advice = f"did you mean `{near}`?" if near else _known_axes(self.scope)
        raise self.session.error("E0210", word.span, name=word.text, advice=advice)

    def used_early(self, word: ast.Word) -> Failed:
        """Report a name that is declared further down."""
        later = self.scope.later[word.text]
        line = later.source.position(later.start)[0]
        return self.session.error("E0203", word.span, name=word.text, line=line)

    def single(self, word: ast.Word, what: str) -> Axis:
        """An axis name that must stand for one axis."""
        axes = self.along(word).axes
        if len(axes) != 1:
            raise self.session.error("E0222", word.span, name=word.text, what=what)
        return axes[0]

    def index(self, axes: tuple[Axis, ...]) -> Node:
        """The index of an axis; of several axes taken as one, counted with the last running fastest."""
        total = self.graph.index(axes[0])
        for axis in axes[1:]:
            total = self.graph.add(self.graph.mul(total, self.graph.size(axis)), self.graph.index(axis))
        return total

    def combine(self, span: ast.Syntax, parts: list[tuple[ast.Expression, Node]]) -> None:
        """Refuse an accidental outer product among the operands of an elementwise operation."""
        if len({node.axes for _, node in parts if node.axes}) < 2:
            return
        first, seen = parts[0]
        axes, free = list(seen.axes), {*freely_combined(seen), *self._brought}
        for syntax, node in parts[1:]:
            extra_left = [a for a in axes if a not in node.axes]
            extra_right = [a for a in node.axes if a not in axes]
            theirs = freely_combined(node) | self._brought
            if extra_left and extra_right and not (free.issuperset(extra_left) or theirs.issuperset(extra_right)):
                raise self._outer_product(first, syntax, tuple(axes), node.axes, span)
            free = {a for a in (free | theirs) if (a in free or a not in axes) and (a in theirs or a not in node.axes)}
            axes += extra_right

    def _outer_product(
        self,
        left: ast.Syntax,
        right: ast.Syntax,
        left_axes: tuple[Axis, ...],
        right_axes: tuple[Axis, ...],
        at: ast.Syntax,
    ) -> Failed:
        missing = [a for a in right_axes if a not in left_axes]
        only = [a for a in left_axes if a not in right_axes]
        left, right = self._as_called(left), self._as_called(right)
        picked = self._picked(right, missing, left_axes) or self._picked(left, only, right_axes)
        if picked:
            same = f"to take one of each, write `{picked}`"
        elif len(missing) == len(only) == 1:
            same = f"if `{only[0].name}` and `{missing[0].name}` are the same axis, declare them with one name"
        else:
            same = "if two of these axes are the same, declare them with one name"
        advice = f"{same}; if every pair is meant, write `outer({source_of(left, 20)})`"
        return self.session.error(
            "E0211",
            at.span,
            left=source_of(left, 24),
            right=source_of(right, 24),
            left_axes=along_of(only),
            right_axes=along_of(missing),
            advice=advice,
        )

    def _as_called(self, e: ast.Syntax) -> ast.Syntax:
        """For a parameter of a definition in another text, what the user gives for it."""
        foreign = self.session.foreign()
        if foreign is None or foreign is not self.session.stack[-1] or not isinstance(e, ast.Name):
            return e
        if not isinstance(foreign.item, ast.Def):
            return e
        names = [p.name.text for p in foreign.item.parameters]
        given = {names[i]: a.value for i, a in enumerate(foreign.call.arguments[: len(names)]) if a.name is None}
        given |= {a.name.text: a.value for a in foreign.call.arguments if a.name is not None}
        return given.get(e.text, e)

    def _picked(self, e: ast.Syntax, extra: list[Axis], others: tuple[Axis, ...]) -> str:
        """`centres[C = label]` where the text has such an index, else nothing."""
        if len(extra) != 1 or not isinstance(e, ast.Name):
            return ""
        for name, value in self.scope.values.items():
            of = indexed_axis(value) if value.op.name == "leaf" else None
            if of is not None and of.root is extra[0].root and value.axes and set(value.axes) <= set(others):
                return f"{e.text}[{extra[0].name} = {name}]"
        return ""

    # One method for each class of expression

    def _number(self, e: ast.Number) -> Node:
        self.graph.span = self.session.seen_at(e.span)
        if _overflows(e.value):
            raise self.session.error("E0018", e.span)
        return self.graph.constant(e.value)

    def _boolean(self, e: ast.Boolean) -> Node:
        return self.graph.constant(e.value)

    def _name(self, e: ast.Name) -> Node:
        found = self.scope.values.get(e.text)
        if found is not None:
            if not self.session.stack:
                self.session.used.add(e.text)
            return found
        self.graph.span = self.session.seen_at(e.span)
        if e.text in self.scope.along:
            return self.index(self.scope.along[e.text].axes)
        if e.text in CONSTANTS:
            return self.graph.constant(CONSTANTS[e.text])
        if e.text == "step":
            return self.graph.leaf(STEP)
        raise self._unknown_name(e)

    def _unknown_name(self, e: ast.Name) -> Failed:
        if e.text in self.scope.failed:
            return Failed()
        if e.text in self.scope.later:
            return self.used_early(ast.Word(e.text, span=e.span))
        if self.module.is_function(e.text):
            advice = f"call it: `{_signature(self.module.called(e.text), e.text)}`"
            return self.session.error("E0204", e.span, name=e.text, what="a function", advice=advice)
        near = nearest(e.text, [*self.scope.values, *self.scope.along])
        advice = (
            f"did you mean `{near}`?"
            if near
            else f"declare it: `input {e.text}: real[B]` or `hyper {e.text}: real = 1`"
        )
        if e.text in _ALIASES:
            advice = f"write `{_ALIASES[e.text]}`"
        elif not near and self.session.stack and isinstance(self.session.stack[-1].item, ast.Def):
            advice = "a definition sees only its parameters: pass it as one"
        return self.session.error("E0201", e.span, name=e.text, kind="", advice=advice)

    def _size(self, e: ast.Size) -> Node:
        self.graph.span = self.session.seen_at(e.span)
        sizes = [self.graph.size(a) for a in self.along(e.axis).axes]
        return self.graph.mul(*sizes)

    def _negative(self, e: ast.Negative) -> Node:
        x = self.expression(e.operand)
        self.graph.span = self.session.seen_at(e.span)
        return self.graph.negative(x)

    def _not(self, e: ast.Not) -> Node:
        x = self.condition(e.operand, "`not`")
        self.graph.span = self.session.seen_at(e.span)
        return self.graph.negation(x)

    def _chain(self, e: ast.Chain) -> Node:
        operands = [e.first, *(operand for _, operand in e.rest)]
        known = self.expressions(operands)
        self.combine(e, list(zip(operands, known, strict=True)))
        self.graph.span = self.session.seen_at(e.span)
        if e.rest[0][0] in "+-":
            signs = ["+", *(operator for operator, _ in e.rest)]
            terms = [n if s == "+" else self.graph.negative(n) for s, n in zip(signs, known, strict=True)]
            return self.graph.add(*terms)
        factors = [known[0]]
        for (operator, syntax), node in zip(e.rest, known[1:], strict=True):
            factors.append(node if operator == "*" else self._inverse(node, syntax))
        self.graph.span = self.session.seen_at(e.span)
        return self.graph.mul(*factors)

    def _inverse(self, x: Node, syntax: ast.Expression) -> Node:
        if x.is_constant and x.value == 0 and not self.module.internal:
            raise self.session.error("E0239", syntax.span, advice="divide by something else")
        self.graph.span = self.session.seen_at(syntax.span)
        if x.is_constant and isinstance(x.value, Fraction) and x.value != 0:
            inverse = 1 / x.value
            if abs(inverse) >= _OVERFLOW:
                raise self.session.error("E0018", syntax.span)
            return self.graph.constant(inverse)
        return self.graph.power(x, self.graph.constant(Fraction(-1)))

    def _compare(self, e: ast.Compare) -> Node:
        return self.graph.conjunction(self.comparison(e)[1])

    def comparison(self, e: ast.Compare) -> tuple[list[Node], list[Node]]:
        """What is compared, and the comparison of each with the next."""
        operands = [e.first, *(operand for _, operand in e.rest)]
        nodes = self.expressions(operands)
        results = []
        for number, (operator, _) in enumerate(e.rest):
            left, right = nodes[number], nodes[number + 1]
            self._comparable(e, operator, (operands[number], left), (operands[number + 1], right))
            self.combine(e, [(operands[number], left), (operands[number + 1], right)])
            self.graph.span = self.session.seen_at(e.span)
            results.append(self.graph.compare(operator, left, right))
        return nodes, results

    def _comparable(
        self,
        e: ast.Compare,
        operator: str,
        left: tuple[ast.Expression, Node],
        right: tuple[ast.Expression, Node],
    ) -> None:
        kinds = {left[1].kind == BOOL, right[1].kind == BOOL}
        if kinds == {True, False} or (kinds == {True} and operator not in ("==", "!=")):
            raise self.session.error(
                "E0230",
                e.span,
                what=f"`{operator}`",
                expected="two numbers",
                found=f"`{described(left[1])}` and `{described(right[1])}`",
                advice=_without_comparison(operator, left, right),
            )
        a, b = indexed_axis(left[1]), indexed_axis(right[1])
        if a is not None and b is not None and a.root is not b.root:
            raise self.session.error(
                "E0218",
                right[0].span,
                index=source_of(right[0]),
                found=b.name,
                axis=a.name,
                advice=f"`{source_of(left[0])}` indexes `{a.name}`; compare it with an index of `{a.name}`",
            )

    def _logic(self, e: ast.Logic) -> Node:
        nodes = []
        for operand in e.operands:
            try:
                nodes.append(self.condition(operand, f"`{e.operator}`"))
            except Failed:
                continue
        if len(nodes) < len(e.operands):
            raise Failed
        self.combine(e, list(zip(e.operands, nodes, strict=True)))
        self.graph.span = self.session.seen_at(e.span)
        return self.graph.conjunction(nodes) if e.operator == "and" else self.graph.disjunction(nodes)

    def _power(self, e: ast.Power) -> Node:
        base, exponent = self.expressions((e.base, e.exponent))
        self.combine(e, [(e.base, base), (e.exponent, exponent)])
        self.graph.span = self.session.seen_at(e.span)
        if base.is_constant and exponent.is_constant:
            self._constant_power(e, base, exponent)
        fractional = exponent.is_constant and exponent.kind != INT
        if fractional and base.range.negative:
            raise self._fractional_power_of_negative(e, base)
        return self.graph.power(base, exponent)

    def _fractional_power_of_negative(self, e: ast.Power, base: Node) -> Failed:
        foreign = self.session.foreign()
        function = f"`{foreign.name}`" if foreign is not None else "a fractional power"
        found = f"negative values, and its argument is in {base.range}"
        advice = "take `abs(...)` of it, or change its sign"
        return self.session.error("E0236", e.base.span, function=function, found=found, advice=advice)

    def _constant_power(self, e: ast.Power, base: Node, exponent: Node) -> None:
        b, x = float(base.value), float(exponent.value)
        if b == 0 and x < 0:
            raise self.session.error("E0239", e.span, advice="0 has no negative power")
        if b != 0 and math.isfinite(b) and math.isfinite(x) and x * math.log10(abs(b)) > 308:
            raise self.session.error("E0018", e.span)

    def _if(self, e: ast.If) -> Node:
        try:
            condition = self.condition(e.condition, "`if`")
        except Failed:
            self.expressions((e.then, e.otherwise))
            raise
        truth = bool(condition.value) if condition.is_constant else None
        before = self.session.report.error_count
        then = self._branch(e.then, taken=truth is not False)
        otherwise = self._branch(e.otherwise, taken=truth is not True)
        if then is None or otherwise is None:
            taken = then if truth else otherwise
            if truth is None or taken is None or self.session.report.error_count > before:
                raise Failed
            return taken
        if (then.kind == BOOL) != (otherwise.kind == BOOL):
            names = {True: "a condition", False: "a number"}
            kinds = (names[then.kind == BOOL], names[otherwise.kind == BOOL])
            raise self.session.error("E0231", e.span, then=kinds[0], otherwise=kinds[1])
        self.combine(e, [(e.condition, condition), (e.then, then), (e.otherwise, otherwise)])
        self.graph.span = self.session.seen_at(e.span)
        return self.graph.select(condition, then, otherwise)

    def _branch(self, e: ast.Expression, taken: bool) -> Node | None:
        """A branch of an `if`. One that is never taken need not have a value: 1 / q where q is 0."""
        self.session.untaken += not taken
        try:
            return self.try_expression(e)
        finally:
            self.session.untaken -= not taken

    def _call(self, e: ast.Call) -> Node:
        from lossdsl.calls import call

        return call(self, e)

    def _substitute(self, e: ast.Substitute) -> Node:
        from lossdsl.substitution import substitute

        return substitute(self, e)

    def _fits(self, item: ast.Pick, axis: Axis, index: Node) -> None:
        from lossdsl.substitution import check_index

        check_index(self, item, axis, index)


STEP = Leaf("step", "step", INT, (), NATURALS)
"""The training step, which any expression may use."""


def _signature(found: tuple[object, Module] | None, name: str) -> str:
    """How a function is called: `softmax[K](x)`."""
    item = found[0] if found is not None else None
    if isinstance(item, ast.Def):
        axes = f"[{', '.join(a.text for a in item.axes)}]" if item.axes else ""
        return f"{name}{axes}({', '.join(p.name.text for p in item.parameters if p.default is None)})"
    if isinstance(item, ast.Loss):
        declared = [d for d in item.body if isinstance(d, ast.Declaration) and d.role in ("input", "frozen")]
        return f"{name}({', '.join(w.text for d in declared for w in d.names)})"
    return f"{name}(...)"


def _without_comparison(operator: str, left: tuple[ast.Expression, Node], right: tuple[ast.Expression, Node]) -> str:
    """What to write for `valid == 1`, where `valid` is a condition."""
    (condition, _), (_, number) = (left, right) if left[1].kind == BOOL else (right, left)
    if number.is_constant and number.kind != BOOL and operator in ("==", "!="):
        holds = (number.value != 0) == (operator == "==")
        text = source_of(condition)
        return f"`{text}` is a condition: write `{text if holds else f'not {text}'}`"
    return "conditions are combined by `and`, `or`, `not`"


def _known_axes(scope: Scope) -> str:
    names = ", ".join(f"`{name}`" for name in scope.along)
    return f"the axes here are {names}" if names else "axes come from the types of inputs: `input x: real[B]`"


_ALIASES = {
    "inf": "infinity",
    "Inf": "infinity",
    "INF": "infinity",
    "True": "true",
    "False": "false",
    "None": "0",
    "ignore_index": "-100",
    "PI": "pi",
    "iteration": "step",
    "global_step": "step",
}

_RULES: dict[type[ast.Syntax], Callable[..., Node]] = {
    ast.Number: Elaborator._number,
    ast.Boolean: Elaborator._boolean,
    ast.Name: Elaborator._name,
    ast.Size: Elaborator._size,
    ast.Negative: Elaborator._negative,
    ast.Not: Elaborator._not,
    ast.Chain: Elaborator._chain,
    ast.Compare: Elaborator._compare,
    ast.Logic: Elaborator._logic,
    ast.Power: Elaborator._power,
    ast.If: Elaborator._if,
    ast.Call: Elaborator._call,
    ast.Substitute: Elaborator._substitute,
}
