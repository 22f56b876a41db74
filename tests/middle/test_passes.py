"""Each pass of the compiler leaves a graph in which every invariant holds, and keeps the type of what it rewrites."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

import lossdsl
from lossdsl.algebra import improve
from lossdsl.backend.compiled import Compiled, Recipe
from lossdsl.bind import bind
from lossdsl.check import check_text
from lossdsl.derivative import gradients
from lossdsl.graph import Axis, Node, reachable
from lossdsl.lower import learners
from lossdsl.modules import stdlib_index
from lossdsl.optable import OPS
from lossdsl.program import Program
from lossdsl.rewrite.copies import once_along_copies
from lossdsl.rewrite.engine import Rewriter
from lossdsl.rewrite.labels import told_apart_last
from lossdsl.rewrite.verify import BrokenGraph, verify, verify_pass
from lossdsl.testing import random_program

LOSSES = sorted(n for n in stdlib_index() if "." not in n)
SHARE = 12
"""One loss in so many is tried in a plain run."""


def check_passes(program: Program) -> None:
    """Run the passes one by one, as `lower` does, and look at the graph after each."""
    assert program.minimize is not None
    roots = named(program.roots)
    verify(roots.values())
    rewriter = Rewriter(program.graph)
    done = rewriter.rebuild(roots.values())
    stable = {name: done[node] for name, node in roots.items()}
    verify_pass(roots, stable)
    once = once_along_copies(rewriter, stable.values())
    verify_pass(stable, {name: once[node] for name, node in stable.items()})
    stable = {name: once[node] for name, node in stable.items()}
    leaves = {d.name: d.node for d in learners(program)}
    slopes = gradients(rewriter, once[done[program.minimize]], list(leaves.values()))
    verify_pass(
        {f"gradient by {n}": x for n, x in leaves.items()}, {f"gradient by {n}": slopes[x] for n, x in leaves.items()}
    )
    before = {**stable, **{f"gradient by {n}": slopes[x] for n, x in leaves.items()}}
    replaced, _ = improve(rewriter, list(before.values()))
    better = {name: replaced.get(node, node) for name, node in before.items()}
    verify_pass(before, better)
    apart = told_apart_last(rewriter, better.values())
    last = {name: apart[node] for name, node in better.items()}
    verify_pass(better, last)
    specialised = Rewriter(rewriter, "specialise").rebuild(last.values())
    verify_pass(last, {name: specialised[node] for name, node in last.items()})


def named(roots: Iterable[Node]) -> dict[str, Node]:
    return {f"root {place}": node for place, node in enumerate(roots)}


def check_loss(name: str) -> None:
    check_passes(lossdsl.load(name, backend="eager").compiled.program)


@pytest.mark.parametrize("name", LOSSES[::SHARE])
def test_a_share_of_the_library(name: str) -> None:
    check_loss(name)


@pytest.mark.long
@pytest.mark.parametrize("name", LOSSES)
def test_the_whole_library(name: str) -> None:
    check_loss(name)


@pytest.mark.parametrize("seed", range(30))
def test_random_programs(seed: int) -> None:
    check_random(seed)


@pytest.mark.long
@pytest.mark.parametrize("block", range(20))
def test_more_random_programs(block: int) -> None:
    for seed in range(1000 + 50 * block, 1050 + 50 * block):
        check_random(seed)


def check_random(seed: int) -> None:
    made = random_program(seed)
    checked = check_text(made.text)
    for program in checked.programs.values():
        check_passes(bind(program, {}))


def stub(name: str, *arguments: Node, axes: tuple[Axis, ...] | None = None, number: int = 100) -> Node:
    """A node made past the builder, which would not make it so."""
    own, kind, interval = OPS[name].type(arguments, ())
    return Node(OPS[name], arguments, (), own if axes is None else axes, kind, interval, None, number)


def test_a_broken_graph_is_seen() -> None:
    program = check_text(
        "loss f { input x: real[A, B]\n input m: bool[A]\n minimize sum[A, B](x) + sum[A](exp(x[B = 0])) }"
    )
    assert program.ok
    x = next(d.node for d in program.programs["f"].inputs if d.name == "x")
    m = next(d.node for d in program.programs["f"].inputs if d.name == "m")
    for broken, why in [
        (stub("exp", x, axes=x.axes[:1]), "its row says"),
        (stub("exp", x, number=0), "younger"),
        (stub("add", x), "fewer than two"),
        (stub("not", x), "condition belongs"),
    ]:
        with pytest.raises(BrokenGraph, match=why):
            verify([broken])
    with pytest.raises(BrokenGraph, match="type of `it` changed"):
        verify_pass({"it": x}, {"it": m})


def test_what_a_recipe_makes_is_what_is_checked() -> None:
    compiled = Compiled(Recipe("mean[B](x^2)", "<text>"))
    check_passes(compiled.program)


TRIPLETS = """
loss triplets {
  input z: real[B, D]
  axis P like B
  axis N like B
  metric far = mean[B, P](euclid[D](z, z[B -> P]))
  minimize mean[B, N](euclid[D](z, z[B -> N]))
}
"""


def test_what_is_alike_along_copies_is_one_value() -> None:
    program = check_text(TRIPLETS).programs["triplets"]
    rewriter = Rewriter(program.graph)
    stable = list(rewriter.rebuild(program.roots).values())
    lengths = [n for n in reachable(stable) if n.op.name == "norm"]
    once = once_along_copies(rewriter, stable)
    assert len(lengths) == 2
    assert len([n for n in reachable(once[n] for n in stable) if n.op.name == "norm"]) == 1
    # A copy that no root needs any more stands for nothing.
    other = [n for n in reachable([lengths[0]]) if n.op.name == "rename"]
    assert once_along_copies(rewriter, [lengths[1], *other])[lengths[1]] is lengths[1]
