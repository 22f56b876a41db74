"""The axes of a loss: new ones from types, copies, ranges, and what a type says of kind and axes."""

from __future__ import annotations

from lossdsl import ast
from lossdsl.diagnostics import nearest
from lossdsl.elaborate import RESERVED_VALUES, Elaborator
from lossdsl.graph import INT, Axis, Node, reachable
from lossdsl.limits import LIMITS
from lossdsl.scope import Along, described, free_copy_name, source_of
from lossdsl.source import Span

_KINDS = ("real", "int", "bool", "index")
_KIND_NAMES = {
    **dict.fromkeys(("float", "float32", "float64", "double", "half", "number", "scalar", "tensor", "Tensor"), "real"),
    **dict.fromkeys(("integer", "long", "int64"), "int"),
    **dict.fromkeys(("boolean", "mask"), "bool"),
    **dict.fromkeys(("label", "class"), "index(C)"),
    "vector": "real[D]",
}


class Axes:
    """Declares and reads the axes of one loss, in its scope."""

    def __init__(self, elaborator: Elaborator, loss: ast.Loss, *, called: bool) -> None:
        self.elaborator = elaborator
        self.session = elaborator.session
        self.scope = elaborator.scope
        self.loss = loss
        self.called = called
        self._early: set[int] = set()
        """Axis statements that were read before their place, because a type above needed them."""
        self._declared = {w.text for s in loss.body if isinstance(s, ast.AxisDeclaration) for w in s.names}

    def fresh(self, word: ast.Word) -> None:
        """Refuse a second declaration of a name."""
        place = self.scope.places.get(word.text)
        if place is not None:
            taken = self.scope.values.get(word.text)
            state = taken is not None and taken.op.name == "leaf" and taken.attributes[0].role == "state"
            hint = f"a state is changed by `update {word.text} = ...`" if state else ""
            raise self.session.error("E0202", word.span, hint=hint, name=word.text, first=_line(place))
        if word.text in self.scope.along:
            first = "an axis, in the type of an earlier declaration"
            raise self.session.error("E0202", word.span, name=word.text, first=first)
        if word.text in RESERVED_VALUES:
            raise self.session.error("E0207", word.span, name=word.text)
        self.scope.places[word.text] = word.span

    def bind(self, name: str, axes: tuple[Axis, ...]) -> None:
        """Let a name stand for axes."""
        self.scope.along[name] = Along(axes)
        if len(self.scope.along) > LIMITS.axes_per_loss:
            place = self.loss.name.span
            raise self.session.stop("E0014", place, found=len(self.scope.along), limit=LIMITS.axes_per_loss)

    # Statements

    def declare(self, statement: ast.AxisDeclaration) -> None:
        """`axis P like B` or `axis J in 1..N`."""
        if id(statement) in self._early:
            return
        for word in statement.names:
            self.fresh(word)
            if statement.like is not None:
                self._copy(word, statement.like)
            else:
                self._range(word, statement)

    def declare_early(self, name: str) -> ast.AxisDeclaration | None:
        """`input k: real[B, P]` may stand above `axis P like B`, which needs the axis B of that very type."""
        for statement in self.loss.body:
            if not isinstance(statement, ast.AxisDeclaration) or statement.like is None:
                continue
            if [w.text for w in statement.names] == [name] and statement.like.text in self.scope.along:
                self.declare(statement)
                self._early.add(id(statement))
                return statement
        return None

    def _copy(self, word: ast.Word, like: ast.Word) -> None:
        if like.text == word.text:
            raise self.session.error("E0221", like.span, name=word.text)
        originals = self.elaborator.along(like).axes
        many = len(originals) > 1
        copies = tuple(
            Axis(f"{word.text}_{a.name}" if many else word.text, pack=a.pack, base=a, declared=True) for a in originals
        )
        self.bind(word.text, copies)

    def _range(self, word: ast.Word, statement: ast.AxisDeclaration) -> None:
        assert statement.first is not None
        assert statement.last is not None
        first, last = self._bound(statement.first), self._bound(statement.last)
        if first.range.low > last.range.high:
            shown = {"first": source_of(statement.first), "last": source_of(statement.last)}
            raise self.session.error("E0220", statement.first.span.to(statement.last.span), **shown)
        self.bind(word.text, (Axis(word.text, declared=True, first=first, last=last),))

    def _bound(self, e: ast.Expression) -> Node:
        node = self.elaborator.expression(e)
        if node.kind != INT:
            raise self.session.error("E0219", e.span, bound=f"`{source_of(e)}`", found=f"`{described(node)}`")
        self.require_constant(e, node, "an axis range")
        return node

    def require_constant(self, e: ast.Expression, node: Node, what: str) -> None:
        """What fixes a default or an axis range must be known before the data is."""
        for inner in reachable([node]):
            if inner.op.name == "leaf" and inner.attributes[0].role != "hyper":
                raise self.session.error("E0252", e.span, what=what, found=inner.attributes[0].name)

    # Types

    def kind(self, written: ast.Type) -> tuple[str, Axis | None]:
        """The kind a type says, and the axis it indexes; None where a called loss has not bound that yet."""
        name = written.name.text
        if name not in _KINDS:
            near = _KIND_NAMES.get(name) or nearest(name, _KINDS)
            advice = f"did you mean `{near}`?" if near else "the types are `real`, `int`, `bool` and `index(C)`"
            raise self.session.error("E0205", written.name.span, name=name, advice=advice)
        if name != "index":
            if written.of is not None:
                what = f"`{name}` takes no axis in round brackets"
                advice = f"write `{name}[{written.of.text}]`, or `index({written.of.text})`"
                raise self.session.error("E0258", written.of.span, what=what, advice=advice)
            return name, None
        if written.of is None:
            what = "`index` needs the axis it indexes"
            inside = f"[{', '.join(a.name for a in written.axes)}]" if written.axes else ""
            raise self.session.error("E0258", written.span, what=what, advice=f"write `index(C){inside}`")
        if written.of.text not in self.scope.along:
            if self.called:
                return INT, None
            self._new(written.of, pack=False)
        return INT, self.elaborator.single(written.of, "an index")

    def of_type(self, written: ast.Type) -> tuple[Axis, ...]:
        """The axes of a type at the root; unknown names are new axes."""
        axes: list[Axis] = []
        if sum(a.pack for a in written.axes) > 1:
            second = [a for a in written.axes if a.pack][1]
            raise self.session.error("E0223", second.span)
        for name in written.axes:
            if name.name not in self.scope.along:
                self.declare_early(name.name)
            if name.name not in self.scope.along:
                self._new(ast.Word(name.name, span=name.span), pack=name.pack)
            along = self.scope.along[name.name]
            if name.pack and not any(a.root.pack for a in along.axes):
                raise self.session.error("E0228", name.span, name=name.name)
            for axis in along.axes:
                if axis in axes:
                    copy = free_copy_name(self.scope)
                    raise self.session.error("E0214", name.span, name=name.name, copy=copy)
                axes.append(axis)
        self.session.precedence.update(
            (a.root, b.root) for i, a in enumerate(axes) for b in axes[i + 1 :] if a.root is not b.root
        )
        return tuple(axes)

    def _new(self, word: ast.Word, *, pack: bool) -> None:
        place = self.scope.places.get(word.text)
        if place is not None:
            raise self.session.error("E0202", word.span, name=word.text, first=_line(place))
        if word.text in self.scope.later and word.text in self._declared:
            raise self.elaborator.used_early(word)
        if word.text in RESERVED_VALUES:
            raise self.session.error("E0207", word.span, name=word.text)
        self.bind(word.text, (Axis(word.text, pack=pack),))


def _line(place: Span) -> str:
    return f"on line {place.source.position(place.start)[0]}"
