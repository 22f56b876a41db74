"""Laws: claims about a loss, checked for form here and for truth by `lossdsl verify` and by tests."""

from __future__ import annotations

from dataclasses import dataclass

from lossdsl import ast
from lossdsl.diagnostics import Stop, nearest
from lossdsl.elaborate import Elaborator
from lossdsl.graph import BOOL, GraphTooLarge, Node
from lossdsl.modules import Module
from lossdsl.program import LawText, Program
from lossdsl.scope import Failed, Scope, Session, described, source_of

CLAIMS: dict[str, str] = {
    "convex": "the loss is convex in the argument",
    "nonnegative": "the loss is never below 0, whatever the argument",
    "bounded": "the loss stays between two numbers, whatever the argument",
    "proper": "the expected loss is least at the true probabilities",
    "calibrated": "minimising it finds the most probable class",
    "symmetric": "its sum over all labels is constant in the argument",
    "shift_invariant": "adding one number to the whole argument changes nothing",
    "scale_invariant": "multiplying the argument by a positive number changes nothing",
    "lipschitz": "its gradient by the argument is bounded",
}


@dataclass(frozen=True)
class Claim:
    """A built-in claim about one input."""

    name: str
    input: str


@dataclass(frozen=True)
class Comparison:
    """A comparison of values, as a node that is true where the law holds; `sides` are what it compares."""

    node: Node
    operator: str
    sides: tuple[Node, Node]


def check_laws(program: Program, module: Module, scope: Scope, session: Session) -> None:
    """Report the laws of a loss that make no sense."""
    for law in program.laws:
        try:
            elaborate_law(law, program, module, scope, session)
        except Failed:
            continue
        except (Stop, GraphTooLarge):
            return


def elaborate_law(
    law: LawText, program: Program, module: Module, scope: Scope, session: Session
) -> Claim | list[Comparison]:
    """What a law claims. Raises Failed after reporting what is wrong with it."""
    claim = law.claim
    if isinstance(claim, ast.Call) and claim.axes is None and module.definition(claim.function.text) is None:
        if claim.function.text in CLAIMS:
            return _claim(claim, program, session)
        if not module.is_function(claim.function.text):
            near = nearest(claim.function.text, CLAIMS)
            advice = f"did you mean `{near}`?" if near else f"the claims are {', '.join(f'`{c}`' for c in CLAIMS)}"
            raise session.error("E0411", claim.function.span, name=claim.function.text, advice=advice)
    elaborator = Elaborator(session, module, scope)
    if isinstance(claim, ast.Compare):
        return _comparisons(claim, elaborator)
    node = elaborator.expression(claim)
    if node.kind != BOOL:
        text = source_of(claim)
        raise session.error("E0410", claim.span, found=f"a number, `{described(node)}`", claim=text)
    return [Comparison(node, "", (node, node))]


def _claim(claim: ast.Call, program: Program, session: Session) -> Claim:
    name = claim.function.text
    inputs = [d.name for d in program.inputs]
    if len(claim.arguments) != 1:
        advice = f"for example `{name}({inputs[0] if inputs else 'x'})`"
        found = len(claim.arguments) or "none"
        raise session.error("E0412", claim.span, claim=name, found=found, advice=advice)
    argument = claim.arguments[0].value
    if not isinstance(argument, ast.Name) or argument.text not in inputs:
        text = source_of(argument)
        near = nearest(text, inputs)
        advice = f"did you mean `{name}({near})`?" if near else f"the inputs are {', '.join(f'`{i}`' for i in inputs)}"
        raise session.error("E0416", argument.span, name=text, claim=name, loss=program.name, advice=advice)
    return Claim(name, argument.text)


def _comparisons(claim: ast.Compare, elaborator: Elaborator) -> list[Comparison]:
    nodes, results = elaborator.comparison(claim)
    return [
        Comparison(node, operator, (left, right))
        for node, (operator, _), left, right in zip(results, claim.rest, nodes, nodes[1:], strict=False)
    ]
