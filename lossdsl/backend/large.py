"""Which values of a loss are larger than everything it is given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lossdsl.backend.forms import forms
from lossdsl.graph import Axis, Node, in_order, reachable
from lossdsl.streaming.varying import amplified, varying


def extents(outputs: Iterable[Node]) -> list[tuple[Axis, ...]]:
    """The axes of the values that are larger than all that is given."""
    outputs = list(outputs)
    nodes = reachable(outputs)
    held = varying(nodes)
    large = amplified(nodes, held)
    computed = set(forms(outputs).order) if large else set()
    return [tuple(held[n]) for n in large if n in computed]


def larger(large: Iterable[Sequence[Axis]]) -> str:
    """The same in words."""
    named = ", ".join(dict.fromkeys(f"[{', '.join(a.name for a in in_order(axes))}]" for axes in large))
    return f"values of {named} are larger than all inputs"
