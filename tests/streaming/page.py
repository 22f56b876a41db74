"""docs/streaming.md's table: which losses of the library run in blocks. `python -m tests.streaming.page --write`."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path

import lossdsl
from lossdsl import catalogue
from lossdsl.backend.autograd import Key
from lossdsl.backend.blocks import Blocks, described
from lossdsl.backend.streamed import Streamed
from lossdsl.module import LossModule
from lossdsl.streaming.stages import Prevented

PAGE = Path(__file__).parents[2] / "docs" / "streaming.md"
BEGIN, END = "<!-- losses: begin -->", "<!-- losses: end -->"


def key(loss: LossModule) -> Key:
    return Key(tuple(loss.compiled.learners), False, False)


def rows() -> list[str]:
    """A line for each loss that has values larger than its inputs."""
    found = []
    for entry in catalogue.losses():
        loss = lossdsl.load(f"{entry.group}.{entry.name}", backend="eager")
        made = Blocks(loss.compiled).made(key(loss))
        if isinstance(made, Streamed):
            schedule = made.schedule
            axes = ", ".join(a.name for a in schedule.axes)
            found.append(f"| `{entry.group}.{entry.name}` | {axes} | {schedule.sweeps} |")
        elif isinstance(made, Prevented):
            found.append(f"| `{entry.group}.{entry.name}` | - | {described(made)} |")
    return found


def table() -> str:
    return "\n".join(["| loss | blocks along | sweeps |", "| --- | --- | --- |", *rows()])


@cache
def _table() -> list[tuple[str, str]]:
    text = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    return [(m[1], m[2]) for m in re.finditer(r"^\| `([\w.]+)` \| ([\w, -]+) \| .* \|$", text, re.MULTILINE)]


def listed() -> list[str]:
    """The losses that the page says run in blocks."""
    return [name for name, axes in _table() if axes != "-"]


def in_one_piece() -> list[str]:
    """The losses with large values that the page says cannot."""
    return [name for name, axes in _table() if axes == "-"]


def written(text: str) -> str:
    """The page with a fresh table."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table())
