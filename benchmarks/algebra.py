"""What algebra gains on the library: the operations of the formulas that it changes, before and after.

    python benchmarks/algebra.py --write

Value and gradients are counted together, an operation along n axes as 8 to the power of n. What algebra leaves as it is does not
appear.
"""

from __future__ import annotations

import argparse

from results import conditions, markdown, show, write
from rich.progress import track

import lossdsl
from lossdsl.modules import stdlib_index

INTRODUCTION = (
    "What algebra gains on the library: the operations of the formulas that it changes, before and after. Value and gradients are "
    "counted together, an operation along n axes as 8 to the power of n."
)
COLUMNS = ("loss", "formulas changed", "operations before", "after")


def gains(name: str) -> list[str] | None:
    """The row of a loss, None where nothing is gained."""
    found = lossdsl.load(name, backend="eager").compiled.lowered.gains
    if not found:
        return None
    return [name, str(len(found)), str(sum(g.cost_before for g in found)), str(sum(g.cost_after for g in found))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    names = sorted(n for n in stdlib_index() if "." not in n)
    rows = [row for n in track(names, "losses") if (row := gains(n)) is not None]
    totals = [sum(int(row[column]) for row in rows) for column in (1, 2, 3)]
    rows.append([f"{len(rows)} of {len(names)}", *map(str, totals)])
    show("Algebra on the library", COLUMNS, rows)
    if arguments.write:
        write("algebra", f"## Algebra\n\n{INTRODUCTION}\n\n{conditions()}.\n\n{markdown(COLUMNS, rows)}")


if __name__ == "__main__":
    main()
