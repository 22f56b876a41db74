"""Which definitions of which paper the standard library has: `docs/coverage.md`, made from `docs/papers.json`.

`python -m tests.coverage_page --write` writes the page; without `--write` it is printed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from lossdsl.catalogue import losses
from lossdsl.check import check_file
from tests.oracles import ORACLES
from tests.streaming import page as streaming

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "coverage.md"
NOT_THERE_YET = "–"
HEAD = """\
# Papers and their losses

Made by `python -m tests.coverage_page --write` from `docs/papers.json` and the standard library; do not edit.
What is known about how faithful a definition is stands in [fidelity.md](fidelity.md).
"""
COLUMNS = ("paper", "definition", "oracle", "laws", "streamed", "sharded", "not there")


@dataclass(frozen=True)
class Paper:
    """A paper: its definitions by the paper's name, and why others, or all, are not there."""

    title: str
    definitions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    without: str = ""

    @property
    def here(self) -> list[str]:
        """Its losses in the standard library, each once: two of its names may mean one loss."""
        return list(dict.fromkeys(self.definitions.values()))


class Loss(NamedTuple):
    """What the page says of a loss: whether it is compared with an oracle, and how many laws it has."""

    oracle: bool
    laws: int


@cache
def papers() -> tuple[Paper, ...]:
    return tuple(Paper(**row) for row in json.loads((DOCS / "papers.json").read_text(encoding="utf-8")))


@cache
def library() -> dict[str, Loss]:
    """Every loss of the standard library under its family and name."""
    programs = {path: check_file(path).programs for path in {entry.path for entry in losses()}}
    return {
        f"{entry.group}.{entry.name}": Loss(entry.name in ORACLES, len(programs[entry.path][entry.name].laws))
        for entry in losses()
    }


def page() -> str:
    with_losses = [paper for paper in papers() if not paper.without]
    without = [paper for paper in papers() if paper.without]
    parts = [HEAD, *totals(), ""]
    parts += table(COLUMNS, [row(paper) for paper in with_losses])
    parts += ["", "## Papers without a loss", ""]
    parts += table(("paper", "why"), [(paper.title, paper.without) for paper in without])
    return "\n".join(parts) + "\n"


def totals() -> Iterator[str]:
    named = {name for paper in papers() for name in paper.here}
    complete = [paper for paper in papers() if paper.definitions and not paper.missing]
    without = [paper for paper in papers() if paper.without]
    compared = [name for name in named if library()[name].oracle]
    yield f"- {len(papers())} papers: {len(complete)} with every definition here, {len(without)} without a loss."
    yield (
        f"- {len(named)} losses of these papers are here: {len(compared)} with an oracle, "
        f"{sum(library()[name].laws for name in named)} laws in all."
    )
    yield f"- {sum(len(paper.missing) for paper in papers())} definitions are not there, each with a reason."
    blocks = sum(streamed(name) == "yes" for name in named)
    yield (
        f"- {blocks} losses run in blocks (*streamed*). *As its inputs*: no value is larger than what the loss is given; over a "
        "linear head it runs in blocks too, see [streaming.md](streaming.md)."
    )
    yield f"- {NOT_THERE_YET} in the column sharded: not there yet."


def streamed(name: str) -> str:
    """Whether a loss runs in blocks, as docs/streaming.md says."""
    if name in streaming.listed():
        return "yes"
    return "no" if name in streaming.in_one_piece() else "as its inputs"


def row(paper: Paper) -> tuple[str, ...]:
    known = [library()[name] for name in paper.here]
    dashes = stacked(NOT_THERE_YET for _ in known)
    return (
        paper.title,
        stacked(f"`{name}`" for name in paper.here),
        stacked("yes" if loss.oracle else "no" for loss in known),
        stacked(str(loss.laws) for loss in known),
        stacked(streamed(name) for name in paper.here),
        dashes,
        stacked(by_reason(paper.missing)),
    )


def by_reason(missing: dict[str, str]) -> Iterator[str]:
    for reason in dict.fromkeys(missing.values()):
        yield f"{', '.join(f'`{name}`' for name, why in missing.items() if why == reason)}: {reason}"


def stacked(lines: Iterator[str]) -> str:
    return "<br>".join(lines)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for cells in (columns, ["---"] * len(columns), *rows):
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} instead of printing it")
    if parser.parse_args().write:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(page(), end="")


if __name__ == "__main__":
    main()
