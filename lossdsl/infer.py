"""An expression alone is a spec: its free names become inputs with the types their use demands.

A name given to a loss takes the type that the loss declares, with axes of that call alone unless calls share
names. Any other name takes the axes of the reductions around its uses, outermost first. A name given to a
hyper becomes a hyper. Each summand of a weighted sum becomes a logged term.
"""

from __future__ import annotations

from collections.abc import Iterable

from lossdsl import ast
from lossdsl.ast import axis_words, parts
from lossdsl.demands import AxisVariable, Demand, Demands, Signature
from lossdsl.elaborate import RESERVED_VALUES
from lossdsl.modules import Module
from lossdsl.ops import Op
from lossdsl.summands import free_name, logged_terms

__all__ = ["as_loss", "parts"]

Around = tuple[AxisVariable, ...]


def as_loss(expression: ast.Expression, module: Module) -> ast.Loss:
    """The loss that an expression stands for."""
    reader = _Reader(module)
    reader.announce(expression)
    reader.visit(expression, (), "real")
    reader.demands.settle()
    body = _declarations(reader)
    taken = {*reader.demands.names, *reader.named}
    terms, minimised = logged_terms(expression, taken)
    span = expression.span
    return ast.Loss(ast.Word("loss", span=span), (*body, *terms, ast.Minimize(minimised, span=span)), span=span)


class _Reader:
    """Goes through an expression in the order of the text and notes what each use of a name demands."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.named: dict[str, AxisVariable] = {}
        self.copies: dict[str, ast.Rename] = {}
        self.demands = Demands(self.named)

    def announce(self, expression: ast.Expression) -> None:
        """Note the axes that the text names, and which are copies of others."""
        stack: list[ast.Expression] = [expression]
        while stack:
            e = stack.pop()
            for word in axis_words(e):
                self.named.setdefault(word.text, AxisVariable(word.text, written=True))
            if isinstance(e, ast.Substitute):
                for item in e.items:
                    if isinstance(item, ast.Rename) and item.new.text != item.old.text:
                        self.copies.setdefault(item.new.text, item)
            stack.extend(reversed(parts(e)))

    def visit(self, e: ast.Expression, around: Around, kind: str) -> None:
        """Note the demands of an expression whose reductions around it are over `around`."""
        match e:
            case ast.Name():
                self._name(e, around, kind)
            case ast.Call():
                self._call(e, around, kind)
            case ast.Substitute():
                self._substitute(e, around, kind)
            case ast.Compare():
                self._compare(e, around)
            case ast.Logic() | ast.Not():
                self._each(parts(e), around, "bool")
            case ast.If():
                self.visit(e.condition, around, "bool")
                self._each((e.then, e.otherwise), around, kind)
            case _:
                self._each(parts(e), around, "hyper" if kind == "hyper" else "real")

    def _each(self, expressions: Iterable[ast.Expression], around: Around, kind: str) -> None:
        for e in expressions:
            self.visit(e, around, kind)

    def _name(self, e: ast.Name, around: Around, kind: str) -> None:
        if e.text not in RESERVED_VALUES and e.text not in self.named:
            own = tuple(a for a in around if a.name not in self.copies or not a.written)
            self.demands.use(e, own, kind)

    def _compare(self, e: ast.Compare, around: Around) -> None:
        """Names compared with an axis are indices of it; names compared with each other are whole numbers."""
        operands = parts(e)
        axes = [o.text for o in operands if isinstance(o, ast.Name) and o.text in self.named]
        names = [o for o in operands if isinstance(o, ast.Name | ast.Substitute)]
        equal = all(operator in ("==", "!=") for operator, _ in e.rest)
        kind = "real"
        if equal and len(names) == len(operands):
            original = self.copies[axes[0]].old.text if axes and axes[0] in self.copies else axes[0] if axes else ""
            kind = f"index {original}" if original else "int"
        for operand in operands:
            if isinstance(operand, ast.Name | ast.Substitute):
                inner = tuple(a for a in around if a.name not in axes) if axes else around
                self.visit(operand, inner, kind)
            else:
                self.visit(operand, around, "real")
        self.demands.note_sentinel(e)

    def _call(self, e: ast.Call, around: Around, kind: str) -> None:
        found = self.module.called(e.function.text)
        namesake = self.module.namesake(e, found) if found is not None else None
        if namesake is not None and not around and not isinstance(e.arguments[1].value, ast.Number):
            # Nothing reduces around it, so it is the loss, which reduces itself.
            found = namesake
        if found is not None and isinstance(found[0], ast.Loss):
            self._loss_call(e, found[0])
            return
        over: Around = ()
        if e.axes is not None:
            over = tuple(self.named[w.text] for w in e.axes.axes)
            inner = (*around, *(a for a in over if a not in around))
            if e.axes.filter is not None:
                self.visit(e.axes.filter, inner, "bool")
            if e.axes.otherwise is not None:
                self.visit(e.axes.otherwise, around, "real")
            around = inner
        wanted = "bool" if e.function.text in ("any", "all", "count") else "real"
        with self.demands.inside(over):
            for argument, tunes in zip(e.arguments, _tuning(e, found), strict=True):
                if tunes or kind == "hyper":
                    self.visit(argument.value, (), "hyper")
                else:
                    self.visit(argument.value, around, wanted)

    def _substitute(self, e: ast.Substitute, around: Around, kind: str) -> None:
        inner = around
        for item in reversed(e.items):
            if isinstance(item, ast.Rename):
                old, new = self.named[item.old.text], self.named[item.new.text]
                swapped = [old if a is new else a for a in inner if a is not old or new not in inner]
                inner = tuple(dict.fromkeys(swapped))
                inner = inner if old in inner else (*inner, old)
            elif self.named[item.axis.text] not in inner:
                inner = (*inner, self.named[item.axis.text])
        with self.demands.inside(tuple(self.named[i.axis.text] for i in e.items if isinstance(i, ast.Pick))):
            self.visit(e.operand, inner, kind)
        for item in e.items:
            if isinstance(item, ast.Pick):
                axis = self.named[item.axis.text]
                self.visit(item.index, tuple(a for a in around if a is not axis), f"index {item.axis.text}")

    def _loss_call(self, e: ast.Call, loss: ast.Loss) -> None:
        """The arguments of a loss take the types that it declares."""
        signature = Signature(loss)
        inputs = [w.text for d in signature.declarations("input", "frozen") for w in d.names]
        position = 0
        for argument in e.arguments:
            if argument.name is not None:
                name = argument.name.text
            else:
                name = inputs[position] if position < len(inputs) else ""
                position += 1
            declaration = signature.declared.get(name)
            value = argument.value
            if declaration is None:
                self.visit(value, (), "real")
            elif isinstance(value, ast.Name) and value.text not in {*self.named, *RESERVED_VALUES}:
                self.demands.take(value, name, declaration, signature)
            elif declaration.role == "hyper":
                self.visit(value, (), "hyper")
            else:
                word = declaration.type.name.text
                self.visit(value, signature.axes(declaration), word if word in ("bool", "int") else "real")


def _tuning(e: ast.Call, found: tuple[ast.Def | ast.Loss | Op, Module] | None) -> list[bool]:
    """For each argument, whether it only tunes what is called, as a parameter with a default does."""
    if found is None or not isinstance(found[0], ast.Def):
        return [a.name is not None for a in e.arguments]
    parameters = found[0].parameters
    tuning = {p.name.text: p.default is not None for p in parameters}
    in_order = [*tuning.values(), *(False for _ in e.arguments)]
    return [tuning.get(a.name.text, False) if a.name is not None else in_order[i] for i, a in enumerate(e.arguments)]


def _declarations(reader: _Reader) -> list[ast.Statement]:
    names = _axis_names(reader)
    body: list[ast.Statement] = []
    for name, demand in reader.demands.names.items():
        body.append(_declaration(name, demand, names))
    in_types = {a.name for s in body if isinstance(s, ast.Declaration) for a in s.type.axes}
    for item in reader.copies.values():
        if item.old.text in in_types:
            body.append(ast.AxisDeclaration((item.new,), item.old, None, None, span=item.new.span))
    return body


def _axis_names(reader: _Reader) -> dict[AxisVariable, str]:
    """A name for each axis: as the text writes it, else as the called loss does, where that is free."""
    taken = {*reader.demands.names, *reader.named, *RESERVED_VALUES}
    names: dict[AxisVariable, str] = {}
    for demand in reader.demands.names.values():
        for axis in (*demand.axes, *((demand.of,) if demand.of is not None else ())):
            if axis not in names:
                names[axis] = axis.name if axis.written else free_name(axis.name, taken)
                taken.add(names[axis])
    return names


def _declaration(name: str, demand: Demand, names: dict[AxisVariable, str]) -> ast.Declaration:
    span = demand.span
    axes = tuple(ast.AxisName(names[a], a.pack, span=span) for a in demand.axes)
    of = ast.Word(names[demand.of], span=span) if demand.of is not None else None
    kind = ast.Type(ast.Word("index" if of is not None else demand.kind, span=span), of, axes, span=span)
    sentinel = demand.sentinel if of is not None else None
    return ast.Declaration(
        demand.role,
        (ast.Word(name, span=span),),
        kind,
        sentinel,
        demand.default,
        demand.condition,
        None,
        span=span,
    )
