"""Rules as data: read from text, turned into patterns.

Reading a rule takes a millisecond, and there are many more of them than a spec needs. So the text of a phase is only
cut into rules, and each is read when a node could match it. What a node needs for that, the operation at the root of
the pattern and the ingredients of its arguments, is kept in `lossdsl/rules/index.json`, with a digest of the text it is of;
`python -m lossdsl.rewrite.rules` writes it.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path

from lossdsl import ast
from lossdsl.build import Builder
from lossdsl.formulas import write_out
from lossdsl.graph import BOOL, INT, REAL, Axis, Node
from lossdsl.ops import Leaf
from lossdsl.parse import parse_part
from lossdsl.rewrite.match import ingredients, is_metavariable
from lossdsl.rewrite.normal import Normaliser
from lossdsl.scope import Along
from lossdsl.source import Source

METAVARIABLE = "metavariable"
PHASES = ("stabilise", "specialise")
_WHOLE = {"i", "j", "t"}
_CONDITIONS = {"c"}
_FOLDER = Path(__file__).resolve().parent.parent / "rules"
_INDEX = _FOLDER / "index.json"
_HEAD = re.compile(r'^rule "(?P<name>[^"]*)":', re.MULTILINE)


class Rule:
    """`rule "name": pattern => replacement where condition`, a piece of a text that is read when it is asked for."""

    def __init__(self, name: str, source: Source, start: int, end: int, graph: Builder) -> None:
        self.name = name
        self._source, self._start, self._end = source, start, end
        self._graph = graph

    @cached_property
    def _syntax(self) -> ast.Rule:
        item = parse_part(self._source, self._start, self._end).items[0]
        assert isinstance(item, ast.Rule), item
        return item

    @property
    def syntax(self) -> ast.Expression:
        """The left side as it is written."""
        return self._syntax.pattern

    @property
    def replacement(self) -> ast.Expression:
        """The right side."""
        return self._syntax.replacement

    @property
    def condition(self) -> ast.Expression | None:
        """What has to be proven of what the names stand for."""
        return self._syntax.condition

    @property
    def text(self) -> str:
        """The rule in one line."""
        return " ".join(self._syntax.span.text.split())

    @cached_property
    def pattern(self) -> Node:
        """The left side over metavariables."""
        axes = {name: Axis(name) for name in sorted(set(_axis_names(self.syntax)))}
        values = {
            name: self._graph.leaf(Leaf(name, METAVARIABLE, _kind(name), tuple(axes.values())))
            for name in sorted(set(_names(self.syntax)) - set(axes))
        }
        return write_out(self._graph, self.syntax, values, {name: Along((axis,)) for name, axis in axes.items()})

    @cached_property
    def root(self) -> str:
        """The operation that a node must be to match."""
        return self.pattern.op.name

    @cached_property
    def needs(self) -> frozenset[str]:
        """What a node cannot match without."""
        return ingredients(a for a in self.pattern.arguments if not is_metavariable(a))


@cache
def rules(phase: str = "stabilise") -> dict[str, tuple[Rule, ...]]:
    """The rules of a phase by the operation at the root of their pattern, in the order of the file."""
    source = _source(phase)
    found = _cut(source)
    kept = json.loads(_INDEX.read_text(encoding="utf-8")).get(phase, {}) if _INDEX.is_file() else {}
    if kept.get("digest") == _digest(source):
        for rule, (root, needs) in zip(found, kept["rules"], strict=True):
            # In place of what the properties would find by reading the rule.
            rule.__dict__.update(root=root, needs=frozenset(needs))
    table: dict[str, list[Rule]] = {}
    for rule in found:
        table.setdefault(rule.root, []).append(rule)
    return {name: tuple(some) for name, some in table.items()}


def index() -> dict[str, object]:
    """What is kept of each phase."""
    return {
        phase: {
            "digest": _digest(_source(phase)),
            "rules": [[rule.root, sorted(rule.needs)] for rule in _cut(_source(phase))],
        }
        for phase in PHASES
    }


def main() -> None:
    """Write the index beside the rules."""
    _INDEX.write_text(json.dumps(index(), separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")


def _source(phase: str) -> Source:
    path = _FOLDER / f"{phase}.loss"
    return Source(path.name, path.read_text(encoding="utf-8"))


def _digest(source: Source) -> int:
    return zlib.crc32(source.text.encode())


def _cut(source: Source) -> list[Rule]:
    graph = Normaliser()
    heads = list(_HEAD.finditer(source.text))
    ends = [head.start() for head in heads[1:]] + [len(source.text)]
    return [Rule(head["name"], source, head.start(), end, graph) for head, end in zip(heads, ends, strict=True)]


def _kind(name: str) -> str:
    return INT if name in _WHOLE else BOOL if name in _CONDITIONS else REAL


def _names(e: ast.Syntax) -> Iterator[str]:
    if isinstance(e, ast.Name):
        yield e.text
    for part in _parts(e):
        yield from _names(part)


def _axis_names(e: ast.Syntax) -> Iterator[str]:
    if isinstance(e, ast.Call) and e.axes is not None:
        yield from (word.text for word in e.axes.axes)
    for part in _parts(e):
        yield from _axis_names(part)


def _parts(e: ast.Syntax) -> list[ast.Expression]:
    from lossdsl.infer import parts

    return parts(e)


if __name__ == "__main__":
    main()
