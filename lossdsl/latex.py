"""Nodes as LaTeX: arithmetic here, everything else from the templates of the op table."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from lossdsl.graph import Node, reachable
from lossdsl.program import Program

# How tightly each form binds; an operand that binds less tightly needs brackets.
_LOOSE, _COMPARE, _SUM, _PRODUCT, _POWER, _ATOM = range(6)
_GREEK = frozenset(
    re.findall(
        r"\w+",
        "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi pi rho sigma tau phi chi psi omega",
    )
)


def latex(program: Program) -> str:
    """The minimised value, and the named terms."""
    assert program.minimize is not None
    names = {t.node: symbol(t.name) for t in program.terms}
    lines = [rf"\mathcal{{L}} &= {formula(program.minimize, names)}"]
    for term in program.terms:
        lines.append(
            f"{names[term.node]} &= {formula(term.node, {n: s for n, s in names.items() if n is not term.node})}"
        )
    if len(lines) == 1:
        return lines[0].replace("&= ", "= ")
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def formula(root: Node, names: dict[Node, str] | None = None) -> str:
    """One node as a LaTeX formula. `names` replaces nodes by symbols."""
    texts: dict[Node, tuple[str, int]] = {n: (s, _ATOM) for n, s in (names or {}).items()}
    for node in reachable([root]):
        if node not in texts:
            texts[node] = _written(node, texts)
    return texts[root][0]


def symbol(name: str) -> str:
    """A name of the spec as a symbol: Greek letters by name, words upright, what follows `_` as an index."""
    base, _, index = name.replace(".", "_").partition("_")
    text = f"\\{base}" if base in _GREEK else base if len(base) == 1 else rf"\mathrm{{{base}}}"
    return rf"{text}_{{\mathrm{{{index.replace('_', ' ')}}}}}" if index else text


_Texts = dict[Node, tuple[str, int]]
_Form = Callable[[Node, _Texts], tuple[str, int]]


def _at(node: Node, texts: _Texts, level: int) -> str:
    text, own = texts[node]
    return rf"\left({text}\right)" if own < level else text


def _written(node: Node, texts: _Texts) -> tuple[str, int]:
    writer = _FORMS.get(node.op.name)
    if writer is not None:
        return writer(node, texts)
    return _templated(node, texts)


def _templated(node: Node, texts: _Texts) -> tuple[str, int]:
    level = _LOOSE if node.op.family == "reduce" or "(" in node.op.latex else _SUM
    values = node.arguments[:1] if node.op.family == "reduce" else node.arguments
    if node.op.family == "reduce":
        level = _PRODUCT
    arguments = {letter: _at(a, texts, level) for letter, a in zip("xyzw", values, strict=False)}
    axes = ""
    if node.op.family in ("reduce", "scan"):
        axes = ", ".join(a.name for a in node.attributes[0].axes)
        if len(node.arguments) > 1 and node.op.family == "reduce":
            axes += rf" :\, {texts[node.arguments[1]][0]}"
    template = node.op.latex or rf"\operatorname{{{{{node.op.name}}}}}" + ("_{{{k}}}" if axes else "") + "({x})"
    return template.format(k=axes, **{**{"x": "", "y": "", "z": "", "w": ""}, **arguments}), (
        _PRODUCT if node.op.family == "reduce" else _COMPARE if node.op.name in ("eq", "lt", "le") else _ATOM
    )


def _constant(node: Node, _texts: _Texts) -> tuple[str, int]:
    value = node.value
    if isinstance(value, bool):
        return rf"\mathrm{{{str(value).lower()}}}", _ATOM
    if isinstance(value, float):
        return {"inf": r"\infty", "-inf": r"-\infty", "3.141592653589793": r"\pi"}.get(repr(value), repr(value)), _ATOM
    if value.denominator == 1:
        return str(value.numerator), _ATOM if value >= 0 else _SUM
    decimal = repr(float(value))
    if Fraction(decimal) == value and len(decimal) < 9 and "e" not in decimal:
        return decimal, _ATOM if value > 0 else _SUM
    sign = "-" if value < 0 else ""
    return rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}", _ATOM if value > 0 else _SUM


def _leaf(node: Node, _texts: _Texts) -> tuple[str, int]:
    leaf = node.attributes[0]
    text, axes = symbol(leaf.name), ", ".join(a.name for a in leaf.axes)
    return (f"{text}_{{{axes}}}" if axes and "_" not in text else rf"{{{text}}}_{{{axes}}}" if axes else text), _ATOM


def _sum(node: Node, texts: _Texts) -> tuple[str, int]:
    terms = sorted((_at(a, texts, _SUM) for a in node.arguments), key=lambda t: t.startswith("-"))
    text = terms[0]
    for term in terms[1:]:
        text += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
    return text, _SUM


def _product(node: Node, texts: _Texts) -> tuple[str, int]:
    coefficient, above, below = Fraction(1), [], []
    for factor in node.arguments:
        if factor.is_constant and isinstance(factor.value, Fraction):
            coefficient *= factor.value
        elif factor.op.name == "pow" and factor.arguments[1].is_constant and factor.arguments[1].value == -1:
            below.append(factor.arguments[0])
        else:
            above.append(factor)
    numbers = [] if abs(coefficient.numerator) == 1 and above else [str(abs(coefficient.numerator))]
    lower = [] if coefficient.denominator == 1 else [str(coefficient.denominator)]
    over = r" \, ".join([*numbers, *(_at(f, texts, _PRODUCT) for f in above)])
    under = r" \, ".join([*lower, *(_at(f, texts, _PRODUCT if len(below) + len(lower) > 1 else _LOOSE) for f in below)])
    text = rf"\frac{{{over}}}{{{under}}}" if under else over
    return (f"-{text}", _SUM) if coefficient < 0 else (text, _PRODUCT)


def _power(node: Node, texts: _Texts) -> tuple[str, int]:
    base, exponent = node.arguments
    value = exponent.value if exponent.is_constant else None
    if value == Fraction(1, 2):
        return rf"\sqrt{{{texts[base][0]}}}", _ATOM
    if value == -1:
        return rf"\frac{{1}}{{{texts[base][0]}}}", _ATOM
    return rf"{{{_at(base, texts, _ATOM)}}}^{{{texts[exponent][0]}}}", _POWER


def _select(node: Node, texts: _Texts) -> tuple[str, int]:
    condition, then, otherwise = (texts[a][0] for a in node.arguments)
    return rf"\begin{{cases}} {then} & {condition} \\ {otherwise} & \text{{else}} \end{{cases}}", _ATOM


def _joined(sign: str) -> _Form:
    def write(node: Node, texts: _Texts) -> tuple[str, int]:
        return f" {sign} ".join(_at(a, texts, _COMPARE) for a in node.arguments), _LOOSE

    return write


def _not(node: Node, texts: _Texts) -> tuple[str, int]:
    x = node.arguments[0]
    if x.op.name == "eq":
        left, right = (_at(a, texts, _SUM) for a in x.arguments)
        return rf"{left} \ne {right}", _COMPARE
    return rf"\lnot {_at(x, texts, _ATOM)}", _ATOM


def _rename(node: Node, texts: _Texts) -> tuple[str, int]:
    pairs = ", ".join(rf"{old.name} \to {new.name}" for old, new in node.attributes)
    return rf"{_at(node.arguments[0], texts, _ATOM)}\big|_{{{pairs}}}", _POWER


def _pick(node: Node, texts: _Texts) -> tuple[str, int]:
    x, index = node.arguments
    return rf"{_at(x, texts, _ATOM)}\big|_{{{node.attributes[0].name} = {texts[index][0]}}}", _POWER


def _axis(node: Node, _texts: _Texts) -> tuple[str, int]:
    name = node.attributes[0].name
    return (f"|{name}|" if node.op.name == "size" else name), _ATOM


def _same(node: Node, texts: _Texts) -> tuple[str, int]:
    return texts[node.arguments[0]]


_FORMS: dict[str, _Form] = {
    "constant": _constant, "leaf": _leaf, "add": _sum, "mul": _product, "pow": _power, "select": _select, "not": _not,
    "and": _joined(r"\land"), "or": _joined(r"\lor"), "rename": _rename, "pick": _pick, "index": _axis, "size": _axis,
    "expand": _same, "outer": _same,
}  # fmt: skip
