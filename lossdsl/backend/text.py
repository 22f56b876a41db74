"""Pieces of Python text: values with their axes and precedence, numbers, names."""

from __future__ import annotations

import builtins
import keyword
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from lossdsl.backend.torch_ops import ATOM, POWER, PREAMBLES, PRODUCT, TERNARY, UNARY
from lossdsl.graph import Axis
from lossdsl.graph import in_order as in_order

_RESERVED = frozenset(
    (*keyword.kwlist, *keyword.softkwlist, *dir(builtins), *PREAMBLES, "torch", "math", "F", "nn", "Tensor", "self")
) | {"wide", "device", "unit_vector", "gradients", "annotations", "Any", "lossdsl", "args", "kwargs"}
_EXACT_DECIMAL = 12


@dataclass(frozen=True)
class Value:
    """An expression of Python: its text, how tightly it binds, and the dimensions that it has.

    The dimensions stand in the order of the axes. A value that lacks an axis is the same along it.
    """

    code: str
    level: int
    axes: tuple[Axis, ...]
    kind: str
    number: bool = False
    """Whether it is a Python number, not a tensor."""
    exact: Fraction | float | bool | None = None
    """The number, where it is known."""

    def at(self, level: int) -> str:
        """The text, in brackets where it stands in something that binds more tightly."""
        return f"({self.code})" if self.level < level else self.code

    @property
    def is_name(self) -> bool:
        return self.code.isidentifier()


class Names:
    """Hands out names that collide with nothing: not with Python, torch, or each other."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def fresh(self, wanted: str) -> str:
        """The wanted name, or one close to it."""
        base = mangled(wanted)
        candidate, number = base, 2
        while candidate in self._taken:
            candidate, number = f"{base.rstrip('_')}_{number}", number + 1
        self._taken.add(candidate)
        return candidate


def mangled(name: str) -> str:
    """A spec's name as a Python identifier that means nothing else."""
    plain = re.sub(r"[^0-9A-Za-z_]", lambda m: "_" if m[0] == "." else f"u{ord(m[0]):x}", name)
    plain = plain.lstrip("_") or "x"
    if plain[0].isdigit():
        plain = f"x{plain}"
    return f"{plain}_" if plain in _RESERVED or plain.startswith("__") else plain


def literal(value: Fraction | float | bool) -> tuple[str, int]:
    """A constant as Python text, and how tightly that binds."""
    if isinstance(value, bool):
        return str(value), ATOM
    if isinstance(value, float) and not math.isfinite(value):
        name = "math.nan" if math.isnan(value) else "math.inf"
        return (f"-{name}", UNARY) if value < 0 else (name, ATOM)
    if value == math.pi:
        return "math.pi", ATOM
    level = UNARY if value < 0 else ATOM
    if isinstance(value, float):
        return repr(value), level
    if value.denominator == 1:
        return str(value.numerator), level
    decimal = repr(float(value))
    small = max(abs(value.numerator), value.denominator) < 2**53
    if small and (Fraction(decimal) != value or len(decimal) > _EXACT_DECIMAL):
        return f"{value.numerator} / {value.denominator}", PRODUCT
    return decimal, level


def constant(value: Fraction | float | bool, kind: str) -> Value:
    code, level = literal(value)
    return Value(code, level, (), kind, True, value)


def aligned(value: Value, axes: Sequence[Axis], level: int = TERNARY) -> str:
    """The text of a value that is to be broadcast along the given axes."""
    missing = [a not in value.axes for a in axes]
    if value.number or not value.axes or not any(missing[missing.index(False) :]):
        return value.at(level)
    first = missing.index(False)
    places = ["None" if gone else ":" for gone in missing[first:]]
    if "None" in places and set(places[: places.index("None")]) == {":"} and places.count("None") == 1:
        before, after = places.index("None"), len(places) - places.index("None") - 1
        if after == 0 and before > 1:
            return f"{value.at(ATOM)}[..., None]"
    while places and places[-1] == ":":
        places.pop()
    return f"{value.at(ATOM)}[{', '.join(places)}]"


def negated(value: Value) -> Value | None:
    """The value without the minus sign that it begins with."""
    if value.level < PRODUCT or not value.code.startswith("-"):
        return None
    # What a minus sign stands before binds as tightly as it does, or more so: a power does, and needs brackets elsewhere.
    level = value.level if value.level != UNARY else POWER if " ** " in value.code else ATOM
    return Value(value.code[1:], level, value.axes, value.kind, value.number)


def tuple_text(items: Sequence[str]) -> str:
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
