"""Files and the names they offer: imports, the prelude, the standard library.

Only the stdlib and files below the importing file's folder can be reached. A loss of the stdlib is found by
the name of its file, or by a search of the texts for its definition, so that loading one does not parse the
others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lossdsl import ast, catalogue, hygiene
from lossdsl.diagnostics import Report, nearest, nowhere
from lossdsl.limits import LIMITS
from lossdsl.ops import Op
from lossdsl.optable import OPS
from lossdsl.parse import parse
from lossdsl.prelude import Definitions
from lossdsl.resources import stdlib_root
from lossdsl.source import Source, Span

if TYPE_CHECKING:
    from lossdsl.scope import Session


@dataclass(eq=False)
class Module:
    """One file's definitions and losses, and the modules it can see."""

    name: str
    library: Library
    path: Path | None = None
    definitions: Mapping[str, ast.Def] = field(default_factory=dict)
    losses: dict[str, ast.Loss] = field(default_factory=dict)
    imports: list[Module] = field(default_factory=list)
    internal: bool = False
    """Whether this is text of the compiler itself, which may name its internal operations."""
    incomplete: bool = False
    """Whether an import failed: unknown names may be its."""

    def definition(self, name: str) -> tuple[ast.Def, Module] | None:
        """The definition of that name: here, in an import, or in the prelude."""
        if self.internal and name in OPS:
            return None
        for module in self._visible():
            if name in module.definitions:
                return module.definitions[name], module
        return None

    def loss(self, name: str, session: Session | None = None) -> tuple[ast.Loss, Module] | None:
        """The loss of that name: here, in an import, or in the stdlib."""
        for module in self._visible():
            if name in module.losses:
                return module.losses[name], module
        return self.stdlib_loss(name)

    def called(self, name: str) -> Called | None:
        """What a call of that name means: here, in an import, in the prelude, an operation, in the stdlib."""
        if self.internal and name in OPS:
            return OPS[name], self
        for module in self._visible():
            item = module.definitions.get(name) or module.losses.get(name)
            if item is not None:
                return item, module
        if name in OPS and OPS[name].visible:
            return OPS[name], self
        return self.stdlib_loss(name)

    def namesake(self, e: ast.Call, found: Called) -> tuple[ast.Loss, Module] | None:
        """The loss of the stdlib that a call of a function of the prelude may mean, by its name and arguments.

        `huber(x)` and `huber(x, delta = 2)` are the function of one residual; `huber(x, y)` is the loss where y
        has axes, as a target does and a parameter does not.
        """
        if e.axes is not None or found[1] is not self.library.prelude or not isinstance(found[0], ast.Def):
            return None
        positional = sum(a.name is None for a in e.arguments)
        if positional <= sum(p.default is None for p in found[0].parameters):
            return None
        found_loss = self.stdlib_loss(e.function.text)
        # An alias of a loss does not compete with a function.
        return found_loss if found_loss is not None and found_loss[0].name.text == e.function.text else None

    def stdlib_loss(self, name: str) -> tuple[ast.Loss, Module] | None:
        """The loss of that name in the stdlib."""
        return self.library.find_loss(name)

    def is_function(self, name: str) -> bool:
        return name in self.function_names() or self.library.find_loss(name) is not None

    def function_names(self) -> set[str]:
        """Every name that can be called, without opening the stdlib's files."""
        names = {n for n, op in OPS.items() if op.visible} | set(catalogue.names())
        for module in self._visible():
            names |= set(module.definitions) | set(module.losses)
        return names

    def _visible(self) -> list[Module]:
        prelude = self.library.prelude
        return [self] if self is prelude else [self, *self.imports, prelude]


Called = tuple[ast.Def | ast.Loss | Op, Module]
"""What a name stands for where it is called, and the module it belongs to."""


class Library:
    """Reads and keeps modules. One library serves many checks."""

    def __init__(self) -> None:
        self._modules: dict[Path, tuple[Module | None, Report]] = {}
        self._loading: list[Path] = []
        self._prelude: Module | None = None
        self._found: dict[str, tuple[ast.Loss, Module] | None] = {}

    @property
    def prelude(self) -> Module:
        if self._prelude is None:
            self._prelude = Module("prelude", self, stdlib_root() / "prelude.loss", prelude_definitions())
        return self._prelude

    def find_loss(self, name: str) -> tuple[ast.Loss, Module] | None:
        """The loss of that name or alias in the stdlib, and its module."""
        if name not in self._found:
            entry = catalogue.find(name)
            self._found[name] = self._stdlib_loss(entry) if entry is not None else None
        return self._found[name]

    def _stdlib_loss(self, entry: catalogue.Entry) -> tuple[ast.Loss, Module] | None:
        module = self.read(entry.path, Report(), f"{entry.group}/{entry.path.name}")
        loss = module.losses.get(entry.name) if module is not None else None
        return (loss, module) if loss is not None and module is not None else None

    def read(self, path: Path, report: Report, shown: str | None = None) -> Module | None:
        """The module in a file, reported as `shown`; None, with findings, where it cannot be had."""
        path = path.resolve()
        if path not in self._modules:
            own = Report()
            self._modules[path] = (self._read(path, own, shown or str(path)), own)
        module, own = self._modules[path]
        report.extend(own.sorted(None))
        return module

    def _read(self, path: Path, report: Report, shown: str) -> Module | None:
        try:
            data = path.read_bytes()
        except OSError as problem:
            reason = (problem.strerror or "unknown").lower()
            report.add("E0326", nowhere(Source(shown, "")), name=shown, reason=reason)
            return None
        source = hygiene.decode(data, shown, report)
        file = parse(source, report) if source is not None else None
        return self.module(file, path.stem, path, report) if file is not None else None

    def module(self, file: ast.File, name: str, path: Path | None, report: Report) -> Module:
        """The module of a parsed text, with its imports read."""
        definitions: dict[str, ast.Def] = {}
        module = Module(name, self, path, definitions)
        for item in file.items:
            if isinstance(item, ast.Rule):
                if path is None or not path.is_relative_to(stdlib_root().resolve()):
                    report.add("E0415", item.span)
                continue
            _define(module, definitions, item, report)
        if path is not None:
            self._loading.append(path)
        try:
            folder = PurePosixPath(file.span.source.name).parent
            for wanted in file.imports[: LIMITS.imports]:
                self._import(module, wanted, folder, report)
        finally:
            if path is not None:
                self._loading.pop()
        if len(file.imports) > LIMITS.imports:
            what = "this text imports too many files"
            report.add("E0017", file.imports[LIMITS.imports].span, what=what, limit=LIMITS.imports)
        return module

    def _import(self, module: Module, wanted: ast.Import, folder: PurePosixPath, report: Report) -> None:
        path = self._find_import(module, wanted, report)
        if path is None or path in self._loading:
            module.incomplete = True
        if path is None:
            return
        if path in self._loading:
            chain = " -> ".join(p.name for p in [*self._loading[self._loading.index(path) :], path])
            report.add("E0321", wanted.span, chain=chain)
            return
        if len(self._loading) > LIMITS.import_depth:
            what = "imports inside imports go too deep"
            report.add("E0017", wanted.span, what=what, limit=LIMITS.import_depth)
            return
        inner = Report()
        shown = self._shown(path, wanted, folder)
        imported = self.read(path, inner, shown)
        if imported is None or inner.has_errors:
            module.incomplete = True
            _report_broken_import(inner, wanted, shown, report)
        else:
            self._add_import(module, imported, wanted, report)

    def _shown(self, path: Path, wanted: ast.Import, folder: PurePosixPath) -> str:
        """How an imported file is named in messages: as seen from where the check began."""
        if path.is_relative_to(stdlib_root().resolve()):
            return path.relative_to(stdlib_root().resolve()).as_posix()
        return str(folder.joinpath(*(word.text for word in wanted.path))) + ".loss"

    def _add_import(self, module: Module, imported: Module, wanted: ast.Import, report: Report) -> None:
        for other in module.imports:
            shared = (other.definitions.keys() | other.losses.keys()) & (
                imported.definitions.keys() | imported.losses.keys()
            )
            if shared and other is not imported:
                report.add("E0323", wanted.span, name=min(shared), first=other.name, second=imported.name)
                return
        module.imports.append(imported)

    def _find_import(self, module: Module, wanted: ast.Import, report: Report) -> Path | None:
        parts = [word.text for word in wanted.path]
        folders = ([module.path.parent] if module.path is not None else []) + [stdlib_root()]
        for folder in folders:
            path = folder.joinpath(*parts).with_suffix(".loss")
            if path.is_file():
                if not path.resolve().is_relative_to(folder.resolve()):
                    report.add("E0322", wanted.span, name=wanted.dotted)
                    return None
                return path.resolve()
        entry = catalogue.find(wanted.dotted)
        if entry is not None:
            return entry.path.resolve()
        if module.path is None and len(parts) > 1:
            report.add("E0325", wanted.span)
            return None
        near = nearest(parts[-1], [*catalogue.names(), *_neighbours(module.path)])
        advice = f"did you mean `import {near}`?" if near else "`lossdsl list` shows the stdlib"
        report.add("E0320", wanted.span, name=wanted.dotted, advice=advice)
        return None


def _report_broken_import(inner: Report, wanted: ast.Import, shown: str, report: Report) -> None:
    first = inner.sorted(1)[0]
    if first.code == "E0321":
        report.add("E0321", wanted.span, chain=first.message.partition(": ")[2])
    elif first.code == "E0326":
        report.add("E0326", wanted.span, name=shown, reason=first.message.partition(": ")[2])
    else:
        text = f"{first.message} (line {first.line})"
        report.add("E0324", wanted.span, name=shown, first=text)


def _neighbours(path: Path | None) -> list[str]:
    return [p.stem for p in path.parent.glob("*.loss")] if path is not None else []


def _define(module: Module, definitions: dict[str, ast.Def], item: ast.Def | ast.Loss, report: Report) -> None:
    name = item.name.text
    taken = definitions.get(name) or module.losses.get(name)
    if taken is not None:
        report.add("E0202", item.name.span, name=name, first=f"on line {_line(taken.name.span)}")
    elif name in OPS and OPS[name].visible:
        report.add("E0207", item.name.span, name=name)
    elif isinstance(item, ast.Def):
        definitions[name] = item
    else:
        module.losses[name] = item


def _line(span: Span) -> int:
    return span.source.position(span.start)[0]


def stdlib_index() -> dict[str, Path]:
    """Where each loss of the stdlib is defined, by its name and by its family and name."""
    return {name: e.path.resolve() for e in catalogue.losses() for name in (e.name, f"{e.group}.{e.name}")}


@cache
def prelude_definitions() -> Definitions:
    """What the prelude defines; nothing changes it, so all libraries share it."""
    path = stdlib_root() / "prelude.loss"
    return Definitions(Source(path.name, path.read_text(encoding="utf-8")))
