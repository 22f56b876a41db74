"""Mistakes in expressions: operators, brackets, conditions, and habits of other languages."""

from __future__ import annotations

from collections.abc import Callable

from lossdsl.syntax_errors import foreign, messages
from lossdsl.syntax_errors.place import OPERAND_STARTS, PANIC, Place, Repair
from lossdsl.syntax_errors.words import (
    ARROW,
    BECOMES,
    OPERAND_ENDS,
    Words,
)

_OPERATORS = frozenset(["PACK", "TIMES", "DIVIDE", "CIRCUMFLEX", "COMPARE", "PLUS", "MINUS", "AND", "OR"])


def _if_of_python(place: Place) -> Repair | None:
    """`a if c else b`."""
    words, index = place.words, place.index
    if place.kind != "IF" or place.before not in OPERAND_ENDS:
        return None
    other = index
    while words.kind(other) not in ("ELSE", "$END") and not words.starts_statement(other):
        other += 1
    then = words.operand_before(index)
    condition = words.written(index + 1, other - 1)
    otherwise = words.operand_from(other + 1) if words.kind(other) == "ELSE" else "..."
    hint = f"write `if {condition} then {then} else {otherwise}`"
    place.add("E0109", words.span(index), found=f"{then} if {condition}", hint=hint)
    return PANIC


def _unfinished_if(place: Place) -> Repair | None:
    """`if` without `then`, or without `else`."""
    if place.before not in OPERAND_ENDS or place.kind in ("EQUAL", ARROW, "DOT"):
        return None
    if place.context not in ("expression: IF", "expression: THEN"):
        return None
    first = place.index - 1
    depth = 0
    while first > 0 and not (place.words.kind(first) == "IF" and depth == 0):
        depth += (place.words.kind(first) == "ELSE") - (place.words.kind(first) == "IF")
        first -= 1
    place.add("E0114", place.words.span(first))
    return PANIC


def _one_or_two_equals(place: Place) -> Repair | None:
    """`=` in a condition, `==` after a name."""
    words, index, automaton = place.words, place.index, place.automaton
    if place.kind == "EQUAL" and place.before in OPERAND_ENDS and automaton.accepts("COMPARE"):
        if place.context == "condition: WHERE" and _compared_before(place):
            default = words.operand_from(index + 1)
            advice = f"a default comes before `where`: `= {default} where ...`"
            place.unexpected("an operator or the next statement", advice)
            return PANIC
        left, right = words.operand_before(index), words.operand_from(index + 1)
        place.add("E0104", words.span(index), hint=f"write `{left} == {right}`")
        return Repair(feed=("COMPARE",), skip=1)
    if place.kind == "COMPARE" and words.text(index) == "==" and automaton.accepts("EQUAL"):
        place.add("E0110", words.span(index), hint=f"write `{words.operand_before(index)} = ...`")
        return Repair(feed=("EQUAL",), skip=1)
    return None


def _compared_before(place: Place) -> bool:
    """Whether the condition of a declaration holds a comparison already."""
    index = place.index - 1
    while index >= 0 and place.words.kind(index) not in ("WHERE", "COLON"):
        if place.words.kind(index) == "COMPARE":
            return True
        index -= 1
    return False


def _round_brackets_for_axes(place: Place) -> Repair | None:
    """`sum(C)(x)`, and `real(B, C)` as a type."""
    words, index = place.words, place.index
    if place.kind == "LPAR" and place.before == "RPAR":
        opened, closed = words.partner[index - 1], words.partner[index]
        if opened is not None and words.kind(opened - 1) == "NAME" and _only_axes(words, opened + 1, index - 1):
            axes = words.written(opened + 1, index - 2)
            value = words.written(index + 1, closed - 1, 24) if closed and closed > index + 1 else "..."
            instead = f"{words.text(opened - 1)}[{axes}]({value})"
            place.add("E0113", words.span(opened, index - 1), instead=instead)
            return PANIC
    if place.key == "type: NAME" and place.before == "NAME" and place.kind == "COMMA":
        return _axes_of_type(place, index - 2)
    if place.key == "type: LPAR" and place.kind != "$END":
        return _axes_of_type(place, index - 1)
    return None


def _axes_of_type(place: Place, opened: int) -> Repair | None:
    words = place.words
    closed = words.partner[opened]
    if words.kind(opened) != "LPAR" or closed is None or words.text(opened - 1) == "index":
        return None
    axes = words.written(opened + 1, closed - 1) if closed > opened + 1 else "B"
    place.add("E0113", words.span(opened, closed), instead=f"{words.text(opened - 1)}[{axes}]")
    return PANIC


def _only_axes(words: Words, first: int, end: int) -> bool:
    """Whether nothing but names of axes stands in some brackets."""
    kinds = [words.kind(index) for index in range(first, min(end, first + 40))]
    return bool(kinds) and kinds[0] == "NAME" and all(kind in ("NAME", "COMMA", "WHERE") for kind in kinds)


def _indexing(place: Place) -> Repair | None:
    """`x[0]`, `x[:, 1]`, `x[i, j]` and `softmax(x)[C]`."""
    words, index = place.words, place.index
    if place.key == "applied: RSQB before LPAR":
        closed = index - 1
        opened = words.partner[closed]
        inside = words.written(opened + 1, closed - 1) if opened is not None else "C"
        name = words.text(opened - 1) if opened is not None else "sum"
        advice = (
            f"write `{name}` for a whole tensor, `{name}[C = 0]` for a part of it, `{name}[B -> P]` along a copy of `B`, "
            f"or `{name}[{inside}](...)` for a function over axes"
        )
        place.unexpected(f"`(` and a value after `{name}[{inside}]`", advice, words.span(index - 1))
        return PANIC
    opened = _opening_around(words, index)
    if opened is None or words.kind(opened) != "LSQB" or words.kind(opened - 1) not in OPERAND_ENDS:
        return None
    operand = words.operand_before(opened)
    inside = words.written(opened + 1, (words.partner[opened] or opened + 2) - 1)
    if place.key in ("substitution: NAME", "axis_reference: NAME | substitution: NAME") and place.kind == "RSQB":
        function = words.partner[opened - 1]
        if words.kind(opened - 1) == "RPAR" and function and words.kind(function - 1) == "NAME":
            argument = words.written(function + 1, opened - 2, 30)
            instead = f"{words.text(function - 1)}[{inside}]({argument})"
            place.add("E0113", words.span(opened, index), hint=f"axes come before the value: write `{instead}`")
            return PANIC
    if place.key == "axis_reference: NAME | substitution: NAME" and place.kind in ("PLUS", "MINUS"):
        axis = words.text(index - 1)
        shifted = f"{operand}[{axis} = {inside}]"
        place.unexpected(f"`=` after the axis `{axis}`", f"an index is given for its axis: write `{shifted}`")
        return PANIC
    if place.key in ("applied: LSQB", "substitutions: COMMA", "axis_arguments: COMMA") or place.kind == "COLON":
        picked = inside if inside.lstrip("-").isalnum() else "0"
        advice = f"name the axis: `{operand}[C = {picked}]` picks from the axis `C`"
        if place.kind == "COLON" or ":" in inside:
            advice += "; a slice is a filter: `sum[C where C >= 1](x)`"
        place.unexpected("the name of an axis", advice)
        return PANIC
    return None


def _opening_around(words: Words, index: int) -> int | None:
    """The bracket that is open at a word."""
    depth = 0
    for earlier in range(index - 1, max(-1, index - 400), -1):
        kind = words.kind(earlier)
        if kind in ("RPAR", "RSQB", "RBRACE"):
            depth += 1
        elif kind in ("LPAR", "LSQB", "LBRACE"):
            if depth == 0:
                return earlier
            depth -= 1
    return None


def _dot(place: Place) -> Repair | None:
    """`torch.log(x)`, `x.sum()`, `x.shape`."""
    words, index = place.words, place.index
    if place.kind != "DOT" or place.before not in OPERAND_ENDS or words.kind(index + 1) != "NAME":
        return None
    first, last = words.operand_before(index), index + 1
    while words.kind(last + 1) == "DOT" and words.kind(last + 2) == "NAME":
        last += 2
    member = words.text(last)
    module = place.before == "NAME" and words.text(index - 1) in foreign.MODULES
    shift = 1 if place.before == "NAME" else 0
    found, span = words.written(index - shift, last), words.span(index - shift, last)
    if words.kind(last + 1) != "LPAR" or module:
        hint = "values have no attributes; the size of an axis is `|B|`"
        hint = f"functions stand alone: write `{member}(...)`" if module else hint
        place.add("E0109", span, found=found, hint=hint)
        return Repair(skip=last - index + 1)
    inner = first[1:-1] if first.startswith("(") else first
    instead = f"`{first}^...`" if member == "pow" else f"`{member}({inner})`, or with axes `{member}[B]({inner})`"
    place.add("E0109", span, found=found, hint=f"values have no methods: write {instead}")
    return PANIC


def _then_is_missing(place: Place) -> bool:
    """Whether the `else` of an `if` comes before any `then`."""
    if place.context != "expression: IF":
        return False
    for ahead in range(place.index, min(place.index + 400, len(place.words.tokens))):
        if place.words.kind(ahead) in ("THEN", "ELSE"):
            return place.words.kind(ahead) == "ELSE"
    return True


def _missing_operator(place: Place) -> Repair | None:
    """`2 x`, `x y`, `)(`: a value where an operator should be."""
    if place.kind not in OPERAND_STARTS or place.before not in OPERAND_ENDS:
        return None
    if place.key not in messages.COMPLETE or not place.automaton.accepts("TIMES"):
        return None
    if place.kind == "NAME" and place.words.starts_statement(place.index):
        return None
    if place.kind == "NOT" or _then_is_missing(place):
        return None
    if place.context == "def_: EQUAL" and place.words.first_on_line(place.index):
        advice = "definitions and an expression do not mix: write `loss my_loss { ... minimize ... }`"
        place.unexpected("an operator or the next definition", advice)
        return PANIC
    known = foreign.inside(place.words.text(place.index)) or foreign.inside(place.words.text(place.index - 1))
    if known:
        at = place.index if foreign.inside(place.words.text(place.index)) else place.index - 1
        place.add("E0109", place.words.span(at), found=place.words.text(at), hint=known)
        return PANIC
    if place.words.kind(place.index + 1) == "EQUAL" and place.automaton.accepts("COMMA"):
        left, name = place.words.operand_before(place.index), place.words.text(place.index)
        hint = f"write a comma: `{left}, {name} = ...`"
        place.add("E0102", place.words.span(place.index), name=name, before=left, hint=hint)
        return Repair(feed=("COMMA",), again=True)
    return forgotten_operator(place, place.index, Repair(feed=("TIMES",), again=True))


def forgotten_operator(place: Place, index: int, repair: Repair) -> Repair:
    words = place.words
    left, right = words.operand_before(index), words.operand_from(index)
    name = words.text(index)
    hint = ""
    if words.depth[index]:
        comma = f"`{left}, {right}`" if place.automaton.accepts("COMMA") else ""
        hint = f"write an operator between them, as in `{left} * {right}`" + (f", or a comma: {comma}" if comma else "")
    elif words.kind(index) != "NAME" or not place.automaton.inside_loss:
        hint = f"write an operator between them, as in `{left} * {right}`"
        hint += f", or brackets around what `{left}` is taken of: `{left}({right})`" if left.isidentifier() else ""
    place.add("E0102", words.span(index), name=name, before=left, hint=hint)
    return repair


def _foreign_operator(place: Place) -> Repair | None:
    """`=>` for `>=`, a sign before a number, a text where none belongs."""
    words, index = place.words, place.index
    if place.kind == BECOMES and place.automaton.accepts("COMPARE"):
        place.add("E0109", words.span(index), found="=>", instead=">=")
        return Repair(feed=("COMPARE",), skip=1)
    if place.kind == "PLUS" and place.key in messages.VALUES:
        place.unexpected(f"a value after `{words.text(index - 1)}`", "delete the `+`: a positive value has no sign")
        return Repair(skip=1)
    if place.kind in ("IF", "NOT") and place.key in messages.VALUES:
        whole = "(if ... then ... else ...)" if place.kind == "IF" else "(not ...)"
        place.unexpected(f"a value after `{words.text(index - 1)}`", f"put it in brackets: `{whole}`")
        return PANIC
    if place.kind in _OPERATORS and place.before in _OPERATORS:
        place.unexpected(f"a value after `{words.text(index - 1)}`", "delete one of the two operators")
        return PANIC
    if place.kind == "STRING" and (place.key in messages.VALUES or place.key in messages.COMPLETE):
        place.unexpected("a value", "text stands only behind `law`; options are written as different functions")
        return PANIC
    if place.kind in ("LSQB",) and place.key in messages.VALUES:
        place.unexpected("a value", "a list stands only as a default: `hyper tau: real[K] = [0.1, 0.5]`")
        return PANIC
    if place.kind == "LBRACE" and (place.key in messages.VALUES or place.key in messages.COMPLETE):
        place.unexpected("an operator or a value", "braces hold the statements of a loss; group values with `( )`")
        return PANIC
    if place.key == "import_: IMPORT" and place.kind == "STRING":
        name = words.text(index).strip('"').removesuffix(".loss").replace("/", ".")
        place.unexpected("a name without quotes", f"write `import {name}`")
        return PANIC
    return None


KNOWN: tuple[Callable[[Place], Repair | None], ...] = (
    _if_of_python,
    _one_or_two_equals,
    _round_brackets_for_axes,
    _dot,
    _indexing,
    _missing_operator,
    _foreign_operator,
    _unfinished_if,
)
