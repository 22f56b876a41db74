"""A called loss takes its caller's values: axes are unified by declaration, kinds and ranges are checked.

Axes are bound before any statement is read: by `index(C)` arguments first, which say what C is, then by the
types of the inputs in order, the axes of a value taken in the order in which the caller's types write them.
Two axes of the loss stay two where both are given one axis of the caller: the second is a copy of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lossdsl import ast
from lossdsl.axes import Axes
from lossdsl.defaults import shown
from lossdsl.graph import BOOL, INT, REAL, Axis, Node, reachable
from lossdsl.indices import indexed_axis
from lossdsl.program import Condition
from lossdsl.scope import Along, Failed, along_of, described, source_of
from lossdsl.selection import decided
from lossdsl.sentinels import sentinel_of


@dataclass(frozen=True)
class Given:
    """A value that a call gives for a declaration, and how it is written there."""

    node: Node
    syntax: ast.Expression


class Binding:
    """Binds the inputs and hypers of one called loss."""

    def __init__(self, axes: Axes, arguments: dict[str, Given]) -> None:
        self.axes = axes
        self.session = axes.session
        self.scope = axes.scope
        self.loss = axes.loss
        self.arguments = arguments
        self.copied: dict[Axis, Axis] = {}
        """For an axis of the loss that is a copy, the axis of the caller that its values run over."""

    def takes(self, word: ast.Word) -> bool:
        """Whether the caller gives a value for this declaration."""
        return word.text in self.arguments

    def bind_axes(self) -> None:
        """Say what each axis of the loss is among those of the caller."""
        for e, word in self._given_declarations():
            kind = "int" if e.type.name.text == "index" else e.type.name.text
            self._check_kind(e, word, kind)
        own = {w.text for s in self.loss.body if isinstance(s, ast.AxisDeclaration) for w in s.names}
        for e, word in self._given_declarations():
            of = indexed_axis(self.arguments[word.text].node)
            if e.type.of is not None and of is not None and e.type.of.text not in {*self.scope.along, *own}:
                self.axes.bind(e.type.of.text, (of,))
        for e, word in self._given_declarations():
            if not own.intersection(a.name for a in e.type.axes) and e.role != "hyper":
                self._unify(e, word)
        for e, word in self._given_declarations():
            unbound = [a.name for a in e.type.axes if a.name not in {*self.scope.along, *own}]
            if unbound and e.role != "hyper":
                raise self._do_not_fit(e, word)

    def adopt(self, statement: ast.AxisDeclaration) -> None:
        """An axis that the loss declares is the caller's where a value along it has the same ends or is such a copy."""
        if statement.like is not None:
            for word in statement.names:
                self._adopt_copy(word)
            return
        for word in statement.names:
            (own,) = self.scope.along[word.text].axes
            for e, given in self._given_declarations():
                if word.text in _axis_words(e):
                    for axis in _axes_of(self.arguments[given.text].node):
                        if axis.first is own.first and axis.last is own.last:
                            self.axes.bind(word.text, (axis,))

    def _adopt_copy(self, word: ast.Word) -> None:
        """For `axis P like B` the caller gives values along a copy of B, or along B, which are then read as a copy."""
        own = self.scope.along[word.text].axes
        for e, given in self._given_declarations():
            if len(own) != 1 or word.text not in _axis_words(e):
                continue
            node = self.arguments[given.text].node
            others = self._of_the_caller(e, node)
            for axis in node.axes:
                if axis.root is own[0].root and axis not in others:
                    if self._taken(axis):
                        self.copied[own[0]] = axis
                    else:
                        self.axes.bind(word.text, (axis,))
                    return

    def _given_declarations(self) -> Iterator[tuple[ast.Declaration, ast.Word]]:
        for e in self.loss.body:
            if isinstance(e, ast.Declaration):
                yield from ((e, word) for word in e.names if word.text in self.arguments)

    # Axes

    def _unify(self, e: ast.Declaration, word: ast.Word) -> None:
        """Bind the axes of a type to those of the value it is given. A single number fits every type."""
        node = self.arguments[word.text].node
        if not node.axes:
            return
        ordered = list(node.attributes[0].axes) if node.op.name == "leaf" else self.session.in_order(node.axes)
        bound = self._of_the_caller(e, node)
        rest = [a for a in ordered if a not in bound]
        free = [a for a in e.type.axes if a.name not in self.scope.along]
        packs = [a for a in free if a.pack]
        own = zip(self._bound(e), bound, strict=True)
        missing = [a for i, (a, theirs) in enumerate(own) if theirs not in node.axes or theirs in bound[:i]]
        spare = len(rest) - (len(free) - len(packs))
        if missing or spare < len(packs) or (spare > 0 and not packs):
            if missing and len(missing) == len(rest) - len(free):
                self._check_clash(e, word, missing, rest)
            raise self._do_not_fit(e, word)
        for axis in free:
            take = spare if axis.pack else 1
            self.axes.bind(axis.name, tuple(self._distinct(axis, a) for a in rest[:take]))
            rest = rest[take:]

    def _taken(self, axis: Axis) -> bool:
        """Whether another axis of the loss is this one of the caller."""
        return any(axis in along.axes for along in self.scope.along.values())

    def _distinct(self, name: ast.AxisName, axis: Axis) -> Axis:
        """The caller's axis, or where another axis of the loss is that one, a copy."""
        if not self._taken(axis):
            return axis
        copy = Axis(f"{name.name}_{axis.name}" if name.pack else name.name, pack=axis.pack, base=axis)
        self.copied[copy] = axis
        return copy

    def _of_the_caller(self, e: ast.Declaration, node: Node) -> list[Axis]:
        """What a value of the caller has for the axes of a type that are known; for a copy, any copy of the same."""
        bound = self._bound(e)
        found: list[Axis] = []
        for own in bound:
            original = self.copied.get(own, own)
            copies = [a for a in (original, *node.axes) if own in self.copied and a.root is own.root and a in node.axes]
            found.append(next((a for a in copies if a not in (*bound, *found)), original))
        return found

    def _bound(self, e: ast.Declaration) -> list[Axis]:
        along = self.scope.along
        return [axis for name in e.type.axes if name.name in along for axis in along[name.name].axes]

    def _check_clash(self, e: ast.Declaration, word: ast.Word, missing: list[Axis], rest: list[Axis]) -> None:
        """Refuse a value whose axis is not the one that an earlier value gave."""
        name = next(a.name for a in e.type.axes if missing[0] in self.scope.along.get(a.name, Along(())).axes)
        others = (w.text for d, w in self._given_declarations() if w is not word and name in _axis_words(d))
        earlier = next(others, None)
        if earlier is None:
            return
        raise self._error(
            "E0307",
            word,
            axis=name,
            name=word.text,
            first=self.copied.get(missing[0], missing[0]).name,
            second=rest[-1].name,
            earlier=earlier,
        )

    def _do_not_fit(self, e: ast.Declaration, word: ast.Word) -> Failed:
        node = self.arguments[word.text].node
        bound = self._of_the_caller(e, node)
        known = {a.name: self.scope.along[a.name].axes for a in e.type.axes if a.name in self.scope.along}
        meanings = [
            f"`{name}` is {self._meaning(axes)}"
            for name, axes in known.items()
            if [self.copied.get(x, x).name for x in axes] != [name]
        ]
        where = f"; in this call {' and '.join(meanings)}" if meanings else ""
        extra = [a for a in node.axes if a not in bound]
        missing = [a for a in dict.fromkeys(bound) if a not in node.axes]
        if not node.axes:
            advice = "give it a value with these axes, or another input that has them"
        elif extra and not missing:
            advice = f"reduce it first, as in `mean[{extra[-1].name}](...)`, or rename an axis{where}"
        elif missing and missing[0].first is not None and missing[0].name in {a.name for a in extra}:
            advice = f"`{missing[0].name}` of the call runs over another range: give it what sets its ends"
        elif missing:
            lacking = along_of(missing)
            them = "them" if len(missing) > 1 else "it"
            advice = f"it lacks {lacking}: declare it with {them}, or reduce the others{where}"
        else:
            advice = f"`{word.text}` is declared `{source_of(e.type)}`{where}"
        return self._error(
            "E0306",
            word,
            name=word.text,
            expected=f"`{source_of(e.type)}`",
            found=along_of(node.axes),
            advice=advice,
        )

    def _meaning(self, axes: tuple[Axis, ...]) -> str:
        """How a message names the caller's axes."""
        names = ", ".join(self.copied.get(a, a).name for a in axes)
        return f"a copy of `{names}`" if self.copied.keys() & set(axes) else f"`{names}`"

    # Values

    def bind(self, e: ast.Declaration, word: ast.Word) -> None:
        """Give a declaration the caller's value."""
        node = self.arguments[word.text].node
        for name in e.type.axes:
            early = self.axes.declare_early(name.name) if name.name not in self.scope.along else None
            if early is not None:
                self.adopt(early)
        if e.role == "hyper" or not all(a.name in self.scope.along for a in e.type.axes):
            self._unify(e, word)
        _, of = self.axes.kind(e.type)
        self._check_index(e, word, of)
        self._check_sentinel(e, word)
        own = zip(self._of_the_caller(e, node), self._bound(e), strict=True)
        swap = {theirs: ours for theirs, ours in own if theirs is not ours}
        node = self.axes.elaborator.graph.rename(node, swap)
        extra = [a for a in node.axes if a not in self._bound(e)]
        if extra:
            raise self._do_not_fit(e, word)
        if e.role == "frozen" and node.kind == REAL:
            node = self.axes.elaborator.graph.apply("stop", node)
        if e.role == "hyper":
            self._check_constant(word)
        self._check_condition(e, word, node)
        self.scope.values[word.text] = self.axes.elaborator.graph.expand(node, self._bound(e))

    def _check_kind(self, e: ast.Declaration, word: ast.Word, kind: str) -> None:
        node = self.arguments[word.text].node
        if node.kind == kind or (kind == REAL and node.kind in (INT, BOOL)):
            return
        advice = f"pass a value of type `{source_of(e.type)}`"
        if kind == INT and node.kind == REAL:
            name = source_of(self.arguments[word.text].syntax, 20)
            advice = f"labels are whole numbers: declare `{name}: {source_of(e.type)}`, with your axes"
        elif kind == BOOL:
            advice = f"compare it: `{source_of(self.arguments[word.text].syntax)} > 0`"
        what, expected = f"`{word.text}` of `{self.loss.name.text}`", f"`{source_of(e.type)}`"
        raise self._error("E0230", word, what=what, expected=expected, found=f"`{described(node)}`", advice=advice)

    def _check_index(self, e: ast.Declaration, word: ast.Word, of: Axis | None) -> None:
        node = self.arguments[word.text].node
        given = indexed_axis(node)
        if e.type.of is None:
            return
        if given is None:
            if node.op.name == "leaf" and node.attributes[0].role != "hyper":
                axis = of.name if of is not None else e.type.of.text
                inside = f"[{', '.join(a.name for a in node.axes)}]" if node.axes else ""
                advice = f"declare it: `{node.attributes[0].name}: index({axis}){inside}`"
                what, expected = f"`{word.text}` of `{self.loss.name.text}`", f"`{source_of(e.type)}`"
                found = f"`{described(node)}`, which may be any whole number"
                raise self._error("E0230", word, what=what, expected=expected, found=found, advice=advice)
            return
        if of is None:
            self.axes.bind(e.type.of.text, (given,))
        elif of.root is not given.root:
            advice = f"`{self.loss.name.text}` takes `{word.text}: {source_of(e.type)}`"
            raise self._error("E0218", word, index=word.text, found=given.name, axis=of.name, advice=advice)

    def _check_sentinel(self, e: ast.Declaration, word: ast.Word) -> None:
        node = self.arguments[word.text].node
        sentinel = sentinel_of(node)
        accepted = int(e.sentinel.value) if e.sentinel is not None else None
        if sentinel is None or sentinel == accepted:
            return
        name, loss = source_of(self.arguments[word.text].syntax), self.loss.name.text
        if accepted is None:
            advice = f"`{loss}` takes `{word.text}` without a sentinel: declare `{name}` without `or {sentinel}`"
        else:
            advice = f"`{loss}` excludes {accepted} and nothing else: declare `{name}` with `or {accepted}`"
        raise self._error("E0234", word, name=name, sentinel=sentinel, advice=advice)

    def _check_constant(self, word: ast.Word) -> None:
        for leaf in (n for n in reachable([self.arguments[word.text].node]) if n.op.name == "leaf"):
            if leaf.attributes[0].role in ("input", "frozen"):
                raise self._error("E0310", word, name=word.text)

    def _check_condition(self, e: ast.Declaration, word: ast.Word, node: Node) -> None:
        """A `where` of the called loss holds for the value, cannot hold, or is left to be verified."""
        if e.condition is None:
            return
        self.scope.values[word.text] = node
        condition = self.axes.elaborator.condition(e.condition, "`where`")
        truth = decided(condition)
        if truth is False:
            text = source_of(e.condition)
            value = shown(node) if node.is_constant else f"`{source_of(self.arguments[word.text].syntax)}`"
            raise self._error("E0309", word, name=word.text, condition=text, value=value)
        if truth is None:
            name = f"{self.loss.name.text}.{word.text}"
            self.session.conditions.append(Condition(condition, name, source_of(e.condition), e.condition.span))

    def _error(self, code: str, word: ast.Word, **fields: object) -> Failed:
        """Report what is wrong with an argument, at the argument."""
        span = self.arguments[word.text].syntax.span
        return self.session.error(code, span, function=self.loss.name.text, **fields)


def _axes_of(node: Node) -> list[Axis]:
    """The axes of a value, and the one that it indexes."""
    of = indexed_axis(node)
    return [*node.axes, *((of,) if of is not None else ())]


def _axis_words(e: ast.Declaration) -> set[str]:
    return {a.name for a in e.type.axes} | ({e.type.of.text} if e.type.of is not None else set())
