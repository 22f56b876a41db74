"""How each node will be computed, decided before anything is written: what it needs, and how often it is used.

A sum of products over axes that no factor has alone is a contraction. A filter `label == G` makes a segment
reduction where G is kept, and a pick where G is reduced. Selections inside sums are filters. What differs only where
an axis equals a label is written there. A softmax shares its exponentials with the logsumexp that it is divided by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

from lossdsl.backend.coverage import Coverage
from lossdsl.backend.kinds import Form, Forms, Joined, LogSoftmax, Product, Reduction, Softmax, Sum, Written
from lossdsl.backend.reduced import labelled, product, reduction
from lossdsl.backend.text import in_order
from lossdsl.build import conjuncts
from lossdsl.graph import INT, REAL, Axis, Node, reachable, users
from lossdsl.streaming.varying import varying


def forms(roots: Iterable[Node]) -> Forms:
    """Choose the form of every node that the roots need."""
    roots = list(roots)
    nodes = reachable(roots)
    chooser = _Chooser(nodes, roots)
    uses: Counter[Node] = Counter(roots)
    chosen: dict[Node, Form] = {}
    order = []
    for node in reversed(nodes):
        if not uses[node]:
            continue
        order.append(node)
        form = chooser.form(node)
        if form is not None:
            chosen[node] = form
        uses.update(form.needs if form is not None else node.arguments)
    uses -= _unseen(chosen.values(), uses)
    raw = _raw(order, chosen, set(roots))
    return Forms(tuple(reversed(order)), uses, chosen, raw, frozenset(n for n in order if chooser.is_real(n)))


def products(plan: Forms) -> list[tuple[Axis, ...]]:
    """The axes over which each product of matrices runs."""
    found = []
    for form in plan.chosen.values():
        if isinstance(form, Reduction) and (form.product is not None or form.pair is not None):
            axes = {a for n in form.needs for a in n.axes}
            if len(axes) > 2:
                found.append(in_order(axes))
    return found


class _Chooser:
    """Chooses the form of one node after the other, users first."""

    def __init__(self, nodes: Sequence[Node], roots: Sequence[Node]) -> None:
        self.held = varying(nodes)
        self.roots = set(roots)
        self.users = users(nodes)
        self.coverage = Coverage(nodes, roots)
        self.totals: set[Node] = set()
        """The logsumexps of which the exponentials are wanted."""
        self.shifted: set[Node] = set()
        """Those of which a log-softmax is made."""
        self.averages: set[Node] = set()
        """The sums that are only wanted over the number of their places."""

    def form(self, node: Node) -> Form | None:
        if node.op.name == "mul":
            return self._averaged(node, product(node))
        if node.op.name == "add":
            return self._log_softmax(node) or self._sum(node)
        if node.op.name == "select":
            return self._masked(node) or self._written(node)
        if node.op.name == "exp":
            return self._softmax(node)
        if node.op.family == "reduce":
            joined = self._joined(node) if node not in self.totals else None
            if joined is not None:
                return joined
            form = reduction(node, self.held, self.users)
            form = self._alike(node, self._with_holes(node, form))
            shared, shifted = node in self.totals, node in self.shifted
            return replace(form, shared=shared, shifted=shifted, averaged=node in self.averages)
        return None

    def _averaged(self, node: Node, form: Product) -> Product:
        """A product with a sum over all its places and the number of these taken together."""
        if any(u.op.family == "reduce" for u in self.users[node]):
            return form  # which may take the product apart
        for factor in form.above:
            if factor.op.name != "sum" or len(factor.arguments) > 1 or factor.kind != REAL or factor in self.roots:
                continue
            below, axes = list(form.below), factor.attributes[0].axes
            sizes = [n for a in axes for n in below if n.op.name == "size" and n.attributes[0].root is a.root]
            whole = reduction(factor, self.held, self.users)
            inside = whole.dense and not whole.parts and set(axes) <= self.held[whole.body]
            if inside and len(sizes) == len(set(sizes)) == len(axes) and len(self.users[factor]) == 1:
                self.averages.add(factor)
                return replace(form, below=tuple(n for n in below if n not in sizes))
        return form

    def _sum(self, node: Node) -> Sum | None:
        if node.kind != REAL:
            return None
        products = [
            self._averaged(t, product(t)) if t.op.name == "mul" else Product(Fraction(1), (t,), ())
            for t in node.arguments
        ]
        sizes = {abs(p.coefficient) for p in products}
        if len(sizes) != 1 or any(not p.needs or all(n.is_constant for n in p.needs) for p in products):
            return None
        size = sizes.pop()
        if size == 1:
            # A product stays whole, so that others can use it.
            pairs = zip(node.arguments, products, strict=True)
            products = [p if p.coefficient < 0 else Product(Fraction(1), (t,), ()) for t, p in pairs]
        signs = [1 if p.coefficient > 0 else -1 for p in products]
        return Sum(
            size, tuple((s, Product(Fraction(1), p.above, p.below)) for s, p in zip(signs, products, strict=True))
        )

    def is_real(self, node: Node) -> bool:
        """Whether a whole number is nowhere used as one."""
        if node.kind != INT or node.op.name not in ("sum", "select") or node in self.roots:
            return False
        return all(u.op.name in _COMPARISONS or (u.kind == REAL and u.op.name in _ARITHMETIC) for u in self.users[node])

    def _softmax(self, node: Node) -> Softmax | None:
        terms = set(_terms(node.arguments[0]))
        for term in terms:
            factors = product(term) if term.op.name == "mul" else None
            if factors is None or factors.coefficient != -1 or len(factors.above) != 1 or factors.below:
                continue
            total = factors.above[0]
            if total.op.name != "logsumexp" or set(_terms(total.arguments[0])) != terms - {term}:
                continue
            form = reduction(total, self.held, self.users)
            if form.dense and set(form.axes) <= self.held[form.body] and self._counts_inside(node, form):
                joined = self._joined(total) if total not in self.totals else None
                without = joined is not None and self._counts_elsewhere(node, joined)
                self.totals.add(joined.others if joined is not None and without else total)
                return Softmax(total)
        return None

    def _log_softmax(self, node: Node) -> LogSoftmax | None:
        if node.kind != REAL:
            return None
        terms = dict(_scaled(t) for t in node.arguments)
        for one, number in terms.items():
            total = one.arguments[1] if one.op.name == "select" else one
            if total.op.name != "logsumexp" or abs(number) != 1:
                continue
            body = dict(_scaled(t) for t in _terms(total.arguments[0]))
            if any(terms.get(x) != -number * times for x, times in body.items()) or self._joined(total) is not None:
                continue
            form = reduction(total, self.held, self.users)
            inside = form.dense and set(form.axes) <= self.held[form.body] and self._counts_inside(node, form)
            if inside and (one is total or _holds_within(one.arguments[0], form.parts)):
                self.shifted.add(total)
                rest = (t for t in node.arguments if (core := _scaled(t)[0]) is not one and core not in body)
                return LogSoftmax(total, -int(number), tuple(rest))
        return None

    def _joined(self, total: Node) -> Joined | None:
        """A logsumexp that is also there without the place that a label names."""
        if total.op.name != "logsumexp" or len(total.arguments) > 1:
            return None
        body, over = total.arguments[0], total.attributes[0]
        for other in self.users[body]:
            alike = other.op is total.op and other.number < total.number and other.attributes[0].axes == over.axes
            if alike and len(other.arguments) > 1:
                form = self._with_holes(other, reduction(other, self.held, self.users))
                if len(form.holes) == 1 and not form.parts:
                    return Joined(other, body, *form.holes[0])
        return None

    def _counts_elsewhere(self, node: Node, joined: Joined) -> bool:
        """Whether a softmax is used nowhere at a label, and nowhere where the label is none."""
        parts = [joined.others.arguments[1]]
        if joined.label.attributes[0].sentinel is not None:
            valid = self._not_sentinel(joined.label)
            if valid is None:
                return False
            parts.append(valid)
        return all(self.coverage.counts_only_where(node, part) for part in parts)

    def _counts_inside(self, node: Node, form: Reduction) -> bool:
        """Whether a softmax is used nowhere but where its logsumexp looks."""
        return all(self.coverage.counts_only_where(node, part) for part in form.parts)

    def _masked(self, node: Node) -> Written | None:
        """Rows of a value that is another one at a label. They are chosen before it is written, not in one more pass."""
        condition, then, otherwise = node.arguments
        if not (otherwise.is_constant and otherwise.value == 0) or then.op.name != "select" or then in self.roots:
            return None
        form = self._written(then) if len(self.users[then]) == 1 else None
        if form is None or form.axis in self.held[condition] or not self.held[condition] <= self.held[form.outside]:
            return None
        return replace(form, mask=condition)

    def _written(self, node: Node) -> Written | None:
        condition, then, otherwise = node.arguments
        inside, outside = then, otherwise
        if condition.op.name == "not":
            condition, inside, outside = condition.arguments[0], otherwise, then
        place = self._place(node, condition, outside)
        if place is None or node.kind != REAL or outside.kind != REAL:
            return None
        axis, label = place
        if axis in self.held[inside] or not self.held[inside] <= self.held[outside]:
            return None
        return Written(axis, label, inside, outside)

    def _place(self, node: Node, condition: Node, outside: Node) -> tuple[Axis, Node] | None:
        """The axis and the label of `C == label`, where the label is sure to lie inside wherever it counts."""
        for axis, label in labelled(condition, self.held):
            leaf = label.attributes[0] if label.op.name == "leaf" else None
            within = {axis, *self.held[label]} <= self.held[outside]
            if leaf is None or leaf.of is None or leaf.of.root is not axis.root or not within:
                continue
            valid = self._not_sentinel(label)
            if leaf.sentinel is None or (valid is not None and self.coverage.counts_only_where(node, valid)):
                return axis, label
        return None

    def _not_sentinel(self, label: Node) -> Node | None:
        """The condition that a label is not its sentinel, if the loss has it."""
        sentinel = label.attributes[0].sentinel
        for user in self.users[label]:
            if user.op.name == "eq" and any(a.is_constant and a.value == sentinel for a in user.arguments):
                return next((u for u in self.users[user] if u.op.name == "not"), None)
        return None

    def _alike(self, node: Node, form: Reduction) -> Reduction:
        """A product with the mask that another product has on the same large factor, where masked places do not count.

        Then one masked factor serves both, instead of the factor and a masked copy.
        """
        if form.pair is not None and form.product is not None:
            return self._alike_pull(node, form)
        if form.product is None or form.parts:
            return form
        for factor in form.product.above:
            if len(self.held[factor]) < 2:
                continue
            others = (r for body in self.users[factor] for r in self.users[body] if r is not node)
            for mask in (r.arguments[1] for r in others if r.op.name == "sum" and len(r.arguments) == 2):
                fitting = tuple(p for p in conjuncts(mask) if self._hides(node, factor, form, p))
                if fitting:
                    return replace(form, parts=fitting)
        return form

    def _hides(self, node: Node, factor: Node, form: Reduction, part: Node) -> bool:
        """Whether a condition on a factor of a product could as well be its mask."""
        fits = self.held[part] <= self.held[factor] and not self.held[part] & set(form.axes)
        # What is made later than the product cannot be waited for.
        return fits and part.number < node.number and self.coverage.counts_only_where(node, part)

    def _alike_pull(self, node: Node, form: Reduction) -> Reduction:
        """A pull with the weights of the pull to the other side, whose mask holds in fewer places."""
        assert form.pair is not None
        for other in self.users[node.arguments[0]]:
            if other is node or other.op.name != "sum" or len(other.arguments) != 2:
                continue
            parts = reduction(other, self.held, self.users).parts
            further = [p for p in parts if p not in form.parts]
            # Weights belong to pairs of vectors: what depends on a feature too is no condition on a pair.
            alone = {form.pair.first, form.pair.second} - set(form.axes)
            fits = set(form.parts) <= set(parts) and all(self.held[p] <= alone for p in further)
            if further and fits and all(self.coverage.counts_only_where(node, p) for p in further):
                return replace(form, parts=parts)
        return form

    def _with_holes(self, node: Node, form: Reduction) -> Reduction:
        if node.op.name not in _HOLLOW or node.kind != REAL or not form.dense:
            return form
        parts, holes = [], []
        for part in form.parts:
            opposite = part.arguments[0] if part.op.name == "not" else None
            place = self._place(node, opposite, form.body) if opposite is not None else None
            if place is not None and place[0] in form.axes:
                holes.append(place)
            else:
                parts.append(part)
        return replace(form, parts=tuple(parts), holes=tuple(holes))


_ARITHMETIC = frozenset(("add", "mul", "pow", "select"))
_COMPARISONS = frozenset(("eq", "lt", "le"))
_HOLLOW = frozenset(("logsumexp", "max", "min"))
"""Reductions in which a place is left out by writing their neutral value there."""


def _unseen(chosen: Iterable[Form], uses: Counter[Node]) -> Counter[Node]:
    """The uses of logsumexps of which only the exponentials are looked at."""
    inside = Counter(form.total for form in chosen if isinstance(form, Softmax | LogSoftmax))
    return Counter({total: count for total, count in inside.items() if uses[total] == count})


def _terms(node: Node) -> tuple[Node, ...]:
    return node.arguments if node.op.name == "add" else (node,)


def _scaled(term: Node) -> tuple[Node, Fraction]:
    """A term without its number, and the number."""
    numbers = [f for f in term.arguments if f.is_constant] if term.op.name == "mul" else []
    rest = [f for f in term.arguments if not f.is_constant]
    if len(numbers) == len(rest) == 1 and isinstance(numbers[0].value, Fraction):
        return rest[0], numbers[0].value
    return term, Fraction(1)


def _holds_within(condition: Node, parts: Sequence[Node]) -> bool:
    """Whether a condition holds for each row in which the parts hold somewhere: it asks for no more than some of them."""
    return all(
        c in parts or (c.op.name == "any" and len(c.arguments) == 1 and set(conjuncts(c.arguments[0])) <= set(parts))
        for c in conjuncts(condition)
    )


def _raw(order: Sequence[Node], chosen: dict[Node, Form], roots: set[Node]) -> frozenset[Node]:
    """Real leaves used, through renames, in contractions alone."""
    other: set[Node] = set(roots)
    for node in order:
        form = chosen.get(node)
        if isinstance(form, Reduction) and form.product is not None and form.pair is None:
            other.update((*form.parts, *form.product.below))
        elif form is not None:
            other.update(form.needs)
        elif node.op.name != "rename" or node in other:
            other.update(node.arguments)
    return frozenset(n for n in order if n.op.name == "leaf" and n.kind == REAL and n not in other)
