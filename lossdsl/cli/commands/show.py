"""`lossdsl show`: print a loss, its signature first."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence

from lossdsl import ast, catalogue
from lossdsl.cli import terminal
from lossdsl.cli.losses import Chosen, Faulty, chosen_losses
from lossdsl.cli.misuse import Misuse
from lossdsl.cli.parsers import Subparsers, add_command, add_json, add_settings, add_specs
from lossdsl.cli.settings import settings
from lossdsl.cli.targets import Target, find_targets
from lossdsl.diagnostics import Report, nearest
from lossdsl.format import format_source
from lossdsl.modules import Library
from lossdsl.optable import OPS
from lossdsl.parse import parse
from lossdsl.program import Declared, Program
from lossdsl.ranges import REALS
from lossdsl.scope import source_of
from lossdsl.source import Source, Span

_EXAMPLES = """\
  lossdsl show focal                  a loss of the standard library
  lossdsl show huber                  a function
  lossdsl show mine.loss              the losses of a file
  lossdsl show mine.loss:total        one of them
  lossdsl show -e 'focal(logits, target) + 0.1 * mean[B](x^2)'
                                      which inputs an expression has
  lossdsl show focal --stage rewrites which rules were applied, and where
"""
_ROLES = {
    "input": "Inputs",
    "frozen": "Inputs without gradient",
    "hyper": "Hyperparameters",
    "learn": "Learnable values",
    "state": "States",
    "random": "Random values",
}


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    description = "Print losses: documentation, inputs, ranges, defaults, terms, laws, and the formatted text."
    parser = add_command(subparsers, "show", description, _EXAMPLES)
    add_specs(parser, "the name of a loss or function, a file, FILE:LOSS, or - for standard input")
    parser.add_argument(
        "--stage",
        choices=("rewrites", "graph", "gradient", "source"),
        help="what the compiler makes of a loss: applied rules, rewritten graph, gradients, torch code",
    )
    add_settings(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show what was asked for; a spec with errors gets its errors shown."""
    if arguments.stage is not None:
        return _stages(arguments)
    if arguments.settings:
        raise Misuse("`--set` goes with `--stage`")
    functions = [word for word in arguments.specs if _is_function(word)]
    words = [word for word in arguments.specs if word not in functions or catalogue.find(word)]
    targets = _targets(words, arguments.text) if words or arguments.text is not None or not functions else []
    library = Library()
    described: list[dict[str, object]] = []
    for target in targets:
        checked = target.check(library)
        if not checked.ok:
            terminal.print_diagnostics([d for d in checked.diagnostics if d.severity == "error"])
            return 1
        assert checked.module is not None
        if not checked.programs:
            raise Misuse(f"`{target.shown}` defines no loss to show")
        losses = checked.module.losses
        described += [_loss(target, losses[name], program) for name, program in checked.programs.items()]
    described += [_function(name) for name in functions]
    if arguments.json:
        terminal.print_json(described)
        return 0
    for number, one in enumerate(described):
        if number:
            print()
        _print(one)
    return 0


def _stages(arguments: argparse.Namespace) -> int:
    """Show a stage of each loss."""
    try:
        losses = list(chosen_losses(find_targets(arguments.specs, arguments.text), settings(arguments.settings)))
    except Faulty:
        return 1
    described = [_stage(loss, arguments.stage) for loss in losses]
    if arguments.json:
        terminal.print_json(described)
        return 0
    for number, one in enumerate(described):
        if number:
            print()
        if len(described) > 1 or arguments.stage == "rewrites":
            terminal.print_heading(f"{one['name']}: {one['title']}")
        print(str(one["text"]).rstrip())
    return 0


def _stage(loss: Chosen, stage: str) -> dict[str, object]:
    from lossdsl.cli import stages

    compiled = loss.module().compiled
    described: dict[str, object] = {"name": loss.name, "stage": stage, "title": stage}
    if stage == "rewrites":
        found = stages.firings(compiled.lowered.trace)
        described |= {"title": f"{terminal.counted(len(found), 'rewrite')}", "firings": found}
        described["text"] = "\n".join(stages.firings_text(found))
    elif stage == "source":
        described["text"] = compiled.text
    else:
        write = stages.graph_text if stage == "graph" else stages.gradient_text
        described["text"] = write(compiled.lowered)
    return described


def _targets(words: list[str], text: str | None) -> list[Target]:
    try:
        return find_targets(words, text)
    except Misuse:
        names = [*OPS, *(entry.name for entry in catalogue.functions())]
        lost = next((w for w in words if not nearest(w, catalogue.names()) and nearest(w, names)), None)
        if lost is None:
            raise
        message = f"there is no file, loss or function named `{lost}`; did you mean `{nearest(lost, names)}`?"
        raise Misuse(message) from None


# What is known


def _is_function(word: str) -> bool:
    return (word in OPS and OPS[word].visible) or any(entry.name == word for entry in catalogue.functions())


def _function(name: str) -> dict[str, object]:
    """A function: of the prelude with its definition, or built in."""
    found = next((entry for entry in catalogue.functions() if entry.name == name), None)
    if found is None:
        op = OPS[name]
        axes = "" if op.family in ("elementwise", "structure") else "[K]"
        values = ", ".join("xyzw"[: op.arity]) if op.arity is not None else "x, y, ..."
        signature = f"{name}{axes}({values})"
        group = f"built in, {op.family}"
        return {
            "name": name,
            "kind": "operation",
            "group": group,
            "signature": signature,
            "doc": "",
            "source": "",
        }
    definition = Library().prelude.definitions[name]
    return {
        "name": name,
        "kind": "function",
        "group": found.group,
        "signature": found.signature,
        "doc": found.doc,
        "source": _formatted(definition.span),
    }


def _loss(target: Target, loss: ast.Loss, program: Program) -> dict[str, object]:
    """A loss: what its text and its checked program tell."""
    own = {declared.name: declared for declared in program.declared}
    return {
        "name": loss.name.text,
        "kind": "loss",
        "file": target.shown,
        "doc": loss.doc,
        "declarations": [_declaration(s, w.text, own[w.text]) for s, w in _declared(loss) if w.text in own],
        "terms": [named.name for named in program.terms],
        "metrics": [named.name for named in program.metrics],
        "updates": [named.name for named in program.updates],
        "laws": [{"text": law.text, "claim": source_of(law.claim, 200)} for law in program.laws],
        "source": _formatted(loss.span),
    }


def _formatted(place: Span) -> str:
    """The text of a loss, definition or expression in canonical layout, with the `##` lines above it."""
    text = place.source.text
    start = place.start
    while (line := text.rfind("\n", 0, max(0, start - 1)) + 1) < start and text.startswith("##", line):
        start = line
    source = Source(place.source.name, text[start : place.end])
    file = parse(source, Report())
    return format_source(source, file) if file is not None else source.text


def _declared(loss: ast.Loss) -> Iterator[tuple[ast.Declaration, ast.Word]]:
    for statement in loss.body:
        if isinstance(statement, ast.Declaration):
            yield from ((statement, word) for word in statement.names)


def _declaration(statement: ast.Declaration, name: str, declared: Declared) -> dict[str, object]:
    interval = declared.leaf.range
    return {
        "name": name,
        "role": statement.role,
        "type": _type(statement),
        "default": source_of(statement.default, 200) if statement.default is not None else None,
        "where": source_of(statement.condition, 200) if statement.condition is not None else None,
        "drawn": source_of(statement.distribution, 200) if statement.distribution is not None else None,
        "range": None if interval == REALS or declared.leaf.kind == "bool" else str(interval),
        "doc": statement.doc,
    }


def _type(statement: ast.Declaration) -> str:
    """The type as it is written; that of an inferred input is not in the text."""
    kind = statement.type
    of = f"({kind.of.text})" if kind.of is not None else ""
    axes = ", ".join(("*" if axis.pack else "") + axis.name for axis in kind.axes)
    sentinel = f" or {statement.sentinel.value}" if statement.sentinel is not None else ""
    return f"{kind.name.text}{of}" + (f"[{axes}]" if axes else "") + sentinel


# What is printed


def _print(one: dict[str, object]) -> None:
    if one["kind"] == "loss":
        terminal.print_heading(f"{one['name']}  ({one['file']})")
    else:
        terminal.print_heading(f"{one['signature']}  ({one['group']})")
    for line in str(one["doc"]).splitlines():
        print(f"  {line}".rstrip())
    for title, lines in _sections(one):
        if lines:
            print()
            terminal.print_heading(title)
            print("\n".join(f"  {line}".rstrip() for line in lines))
    if one["source"]:
        print()
        terminal.print_spec(re.sub(r"^(##[^\n]*\n)+", "", str(one["source"])).rstrip())


def _sections(one: dict[str, object]) -> Iterator[tuple[str, Sequence[str]]]:
    declarations = one.get("declarations", [])
    assert isinstance(declarations, list)
    width = min(56, max((len(_line(d)) for d in declarations), default=0))
    for role, title in _ROLES.items():
        own = [d for d in declarations if d["role"] == role]
        yield title, [f"{_line(d):{width}}  {str(d['doc']).partition(chr(10))[0]}" for d in own]
    for key in ("terms", "metrics", "updates"):
        names = one.get(key, [])
        assert isinstance(names, list)
        yield key.capitalize(), [", ".join(names)] if names else []
    laws = one.get("laws", [])
    assert isinstance(laws, list)
    yield "Laws", [f'"{law["text"]}": {law["claim"]}' for law in laws]


def _line(declaration: dict[str, object]) -> str:
    line = f"{declaration['name']}: {declaration['type']}"
    for key, word in (("default", "="), ("where", "where"), ("drawn", "~")):
        if declaration[key]:
            line += f" {word} {declaration[key]}"
    return line
