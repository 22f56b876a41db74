"""`docs/papers.json` agrees with the standard library, and `docs/coverage.md` with both."""

from __future__ import annotations

import re

from lossdsl.catalogue import find
from tests.coverage_page import DOCS, PAGE, library, page, papers

OF_NO_PAPER = {"classification.ldam", "distillation.kd", "language.lm"}
"""Losses that belong to none of the papers; the library has them because others build on them."""


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "stale: run `python -m tests.coverage_page --write`"


def test_every_loss_that_a_paper_names_is_there() -> None:
    absent = [(paper.title, name) for paper in papers() for name in paper.here if name not in library()]
    assert absent == []


def test_every_loss_is_found_by_the_name_that_its_paper_gives_it() -> None:
    found = {name: find(name) for paper in papers() for name in paper.definitions}
    elsewhere = [
        (name, wanted)
        for paper in papers()
        for name, wanted in paper.definitions.items()
        if (entry := found[name]) is None or f"{entry.group}.{entry.name}" != wanted
    ]
    assert elsewhere == []


def test_every_loss_belongs_to_a_paper() -> None:
    of_papers = {name for paper in papers() for name in paper.here}
    assert set(library()) - of_papers == OF_NO_PAPER


def test_what_is_missing_is_not_there() -> None:
    there = [(paper.title, name) for paper in papers() for name in paper.missing if find(name) is not None]
    assert there == []


def test_every_paper_has_definitions_or_a_reason() -> None:
    for paper in papers():
        assert bool(paper.definitions or paper.missing) != bool(paper.without), paper.title
        assert all(paper.missing.values()), paper.title


def test_titles_are_not_repeated() -> None:
    titles = [paper.title for paper in papers()]
    assert len(set(titles)) == len(titles)


def test_what_is_said_of_fidelity_is_said_of_losses_that_are_there() -> None:
    said = re.findall(r"`([a-z]+\.\w+)`", (DOCS / "fidelity.md").read_text(encoding="utf-8"))
    assert said
    assert [name for name in said if name not in library()] == []
