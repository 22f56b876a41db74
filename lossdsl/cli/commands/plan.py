"""`lossdsl plan`: how a loss would run for given sizes."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lossdsl.cli import terminal
from lossdsl.cli.losses import Faulty, chosen_losses
from lossdsl.cli.misuse import Misuse
from lossdsl.cli.parsers import Subparsers, add_command, add_json, add_settings, add_specs
from lossdsl.cli.settings import settings
from lossdsl.cli.targets import find_targets
from lossdsl.diagnostics import nearest

if TYPE_CHECKING:
    from lossdsl.backend.report import Report
    from lossdsl.module import LossModule

_EXAMPLES = """\
  lossdsl plan mine.loss --sizes T=4096,V=32000,D=512
  lossdsl plan info_nce --sizes B=32768,D=256 --budget 400MB
  lossdsl plan siglip --sizes B=8192,D=256 --dtype bfloat16 --json
"""
_DTYPES = ("float32", "float64", "bfloat16", "float16")
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    description = (
        "Tell how a loss would run on this machine for given sizes of its axes: in one piece or in blocks, why, how "
        "long the blocks are, how much memory is held and kept for backward, and how many operations the products take. "
        "Nothing is computed."
    )
    parser = add_command(subparsers, "plan", description, _EXAMPLES)
    add_specs(parser, "a file, the name of a loss, FILE:LOSS, or - for standard input")
    parser.add_argument(
        "--sizes", action="append", default=[], metavar="AXIS=N,...", help="the size of each axis, as in B=4096,C=1000"
    )
    parser.add_argument("--budget", metavar="BYTES", help="the memory that a call may hold, as in 500000000 or 500MB")
    parser.add_argument("--dtype", choices=_DTYPES, default="float32", help="of the inputs (float32)")
    parser.add_argument("--reduction", choices=("declared", "none", "sum"), default="declared", help=argparse.SUPPRESS)
    add_settings(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Plan and report; 1 where a spec is at fault or a budget cannot be kept."""
    sizes, budget = _sizes(arguments.sizes), _bytes(arguments.budget)
    targets = find_targets(arguments.specs, arguments.text)
    options = {"memory_budget": budget, "reduction": arguments.reduction}
    found = []
    try:
        for chosen in chosen_losses(targets, settings(arguments.settings)):
            chosen.options.update(options)
            found.append((chosen.name, chosen.module()))
    except Faulty:
        return 1
    _all_known(sizes, [module for _, module in found])
    reports = [(name, _planned(module, sizes, arguments.dtype)) for name, module in found]
    if arguments.json:
        terminal.print_json({"losses": [{"name": name, **report.as_dict()} for name, report in reports]})
    else:
        for name, report in reports:
            print("\n".join([name, *(f"  {line}" for line in report.lines())]))
    return int(any(report.refused for _, report in reports))


def _all_known(sizes: Iterable[str], modules: Sequence[LossModule]) -> None:
    """Refuse the size of an axis that none of the losses has."""
    known = sorted({a.root.name for m in modules for item in m._guard.inputs for a in item.axes})
    for name in sizes:
        if name not in known:
            near = nearest(name, known)
            advice = (
                f"did you mean `{near}`?" if near else f"there are {', '.join(f'`{n}`' for n in known) or 'no axes'}"
            )
            raise Misuse(f"no axis of the loss is called `{name}`; {advice}")


def _planned(module: LossModule, sizes: dict[str, int], dtype: str) -> Report:
    import torch

    from lossdsl.backend.guards import InputError
    from lossdsl.graph import BOOL, INT

    whole = {INT: torch.int64, BOOL: torch.bool}
    fixed = {a.name: n for a, n in module._guard.fixed.items()}
    tensors = {}
    for item in module._guard.inputs:
        missing = [a.root.name for a in item.axes if a.root.name not in {**sizes, **fixed}]
        if missing:
            raise Misuse(
                f"`{module.name}` has an axis `{missing[0]}`; give its size, as in `--sizes {missing[0]}=4096`"
            )
        shape = [{**sizes, **fixed}[a.root.name] for a in item.axes]
        tensors[item.name] = torch.empty(shape, dtype=whole.get(item.kind, getattr(torch, dtype)), device="meta")
    try:
        return module.plan(**tensors)
    except InputError as problem:
        raise Misuse(str(problem)) from None


def _sizes(words: Sequence[str]) -> dict[str, int]:
    """The sizes in `B=4096,C=1000`."""
    found: dict[str, int] = {}
    for part in ",".join(words).replace(" ", ",").split(","):
        name, _, number = part.partition("=")
        if not part:
            continue
        if not name.isidentifier() or not number.isdigit():
            raise Misuse(f"`--sizes {part}` is no size; write `--sizes B=4096,C=1000`")
        found[name] = int(number)
    return found


def _bytes(text: str | None) -> int | None:
    """A number of bytes, with a unit or without."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text.strip())
    if match is None or match[2].upper() not in _UNITS:
        raise Misuse(f"`--budget {text}` is no number of bytes; write `--budget 500MB`")
    return int(float(match[1]) * _UNITS[match[2].upper()])
