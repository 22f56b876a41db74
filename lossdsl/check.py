"""Checking a text: everything from characters to programs, with findings instead of exceptions."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lossdsl import ast, hygiene, infer, laws
from lossdsl.definitions import check_definition
from lossdsl.diagnostics import Diagnostic, Report, nowhere
from lossdsl.flow import check_flow
from lossdsl.graph import Axis, Node
from lossdsl.limits import LIMITS
from lossdsl.lint import lint
from lossdsl.losses import elaborate
from lossdsl.modules import Library, Module
from lossdsl.parse import parse
from lossdsl.program import Declared, Program
from lossdsl.sentinels import check_sentinels
from lossdsl.source import Source, Span

_COLLECT_AFTER = 200_000


@dataclass
class Checked:
    """What is known about a text: its findings, and the programs of its losses where there are no errors."""

    source: Source
    diagnostics: list[Diagnostic]
    programs: dict[str, Program] = field(default_factory=dict)
    file: ast.File | None = None
    module: Module | None = None

    @property
    def ok(self) -> bool:
        return not any(d.severity == "error" for d in self.diagnostics)


def check_text(text: str, library: Library | None = None, name: str = "<text>") -> Checked:
    """Check a text that is not in a file; it can import from the stdlib only."""
    return check_source(Source(name, text), library)


def check_file(path: Path, library: Library | None = None, shown: str | None = None) -> Checked:
    """Check a file. Raises OSError where it cannot be read."""
    report = Report()
    source = hygiene.decode(path.read_bytes(), shown or str(path), report)
    if source is None:
        return Checked(Source(shown or str(path), ""), report.sorted())
    return check_source(source, library, path)


def check_source(
    source: Source, library: Library | None = None, path: Path | None = None, only: str | None = None
) -> Checked:
    """Check a text: parse it, then elaborate and analyse each of its losses (or `only` one of them)."""
    with _rarely_collecting():
        return _check_source(source, library or Library(), path, only)


@contextmanager
def _rarely_collecting() -> Iterator[None]:
    """Checking makes many objects that live until its end: looking for garbage among them is a fifth of its time."""
    usual = gc.get_threshold()
    gc.set_threshold(max(usual[0], _COLLECT_AFTER) if usual[0] else 0, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _check_source(source: Source, library: Library, path: Path | None, only: str | None) -> Checked:
    report = Report()
    file = parse(source, report)
    if file is None:
        return Checked(source, report.sorted())
    name = path.stem if path is not None else source.name
    module = library.module(file, name, path.resolve() if path is not None else None, report)
    programs: dict[str, Program] = {}
    for loss in _losses(file, module):
        if (only is None or loss.name.text == only) and report.error_count < 3 * LIMITS.reported:
            try:
                programs[loss.name.text] = check_loss(loss, module, report)
            except RecursionError:
                report.add("E0015", loss.name.span, limit=LIMITS.graph_nodes)
    for definition in module.definitions.values():
        if report.error_count < 3 * LIMITS.reported:
            check_definition(definition, module, report)
    if not file.items and file.expression is None:
        report.add("E0117", nowhere(source))
    return Checked(source, report.sorted(), programs, file, module)


def _losses(file: ast.File, module: Module) -> Iterator[ast.Loss]:
    if file.expression is not None:
        loss = infer.as_loss(file.expression, module)
        module.losses[loss.name.text] = loss
    yield from list(module.losses.values())


def check_loss(loss: ast.Loss, module: Module, report: Report) -> Program:
    """Elaborate a loss and make the checks that concern it as a whole."""
    before = report.error_count
    program, scope, session = elaborate(loss, module, report)
    if program.stopped:
        return program
    # A program without a value to minimise lacks it because of an error, if only one in an import.
    sound = report.error_count == before and program.minimize is not None
    if sound:
        _check_axes(program, report)
    check_sentinels(_roots(program), program.graph, report)
    laws.check_laws(program, module, scope, session)
    if sound:
        check_flow(program, report)
    if sound and report.error_count == before:
        lint(program, loss, scope, session, report)
    return program


def _roots(program: Program) -> Iterator[tuple[Node, Span]]:
    if program.minimize is not None and program.minimize_span is not None:
        yield program.minimize, program.minimize_span
    for named in (*program.terms, *program.metrics, *program.updates):
        yield named.node, named.span


def _check_axes(program: Program, report: Report) -> None:
    """Every axis must get its size from an input, a range, or a hyper that is a list or has no default."""
    known = {a.root for d in program.declared if _gives_sizes(d) for a in d.leaf.axes}
    seen: set[Axis] = set()
    for declared in program.declared:
        of = (declared.leaf.of,) if declared.leaf.of is not None else ()
        for axis in (*declared.leaf.axes, *of):
            if axis.root not in known and axis.root not in seen and axis.root.first is None:
                seen.add(axis.root)
                place = declared.span if declared.span.source is program.span.source else program.span
                report.add("E0224", place, name=axis.root.name, declared=declared.name)


def _gives_sizes(declared: Declared) -> bool:
    if declared.role == "hyper":
        return declared.values is not None or declared.default is None
    return declared.role in ("input", "frozen")
