"""A loss under test: its module, its program with the module's hyperparameters, and samples to try it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from lossdsl import api
from lossdsl.backend.compiled import Recipe, read_program
from lossdsl.bind import Number, Unbound
from lossdsl.check import check_source
from lossdsl.diagnostics import Report
from lossdsl.graph import REAL, Axis
from lossdsl.losses import elaborate
from lossdsl.module import LossModule
from lossdsl.modules import Library, Module, stdlib_index
from lossdsl.program import Program
from lossdsl.reference import Result, reference, reference_gradient, rounded_reference
from lossdsl.scope import Scope, Session
from lossdsl.testing.inputs import random_hypers, random_inputs

if TYPE_CHECKING:
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[Any]

Results = dict[str, "Array"]
"""The value under the empty name, and the gradients by the names of what they are taken by."""


@dataclass(frozen=True)
class Data:
    """Everything that a loss sees in one step, by name."""

    inputs: dict[str, Array]
    hypers: dict[str, Array]
    state: dict[str, Array]
    draws: dict[str, Array]
    step: int = 0
    sizes: Mapping[Axis, int] = field(default_factory=dict)


class Subject:
    """One loss, as its module and as its program."""

    def __init__(self, loss: LossModule) -> None:
        self.loss = loss
        recipe = loss.compiled.recipe
        self.hypers: dict[str, Number] = dict(recipe.hypers)
        self.program = with_hypers(loss.compiled.written, self.hypers)

    @property
    def name(self) -> str:
        return self.loss.name

    def variant(self, backend: str = "eager", dtype: torch.dtype = torch.float64) -> LossModule:
        """A module of its own with the same values, evaluated by a backend in a type.

        States that take their sizes from the first batch are unsized again, so make one for each batch.
        """
        loss = self.loss
        known = {n: t.detach().clone() for n, t in loss.held.items()}
        made = LossModule(loss.compiled, known, loss.schedules, backend=backend).eval()
        if hasattr(loss, "step"):
            made.load_state_dict({"step": loss.step}, strict=False)
        return made.to(dtype)

    @cached_property
    def learners(self) -> list[str]:
        return list(self.loss.compiled.learners)

    def arrays(self, seed: int, scale: float = 1.0, sizes: Mapping[str, int] | None = None) -> dict[str, Array]:
        """Random inputs that float32 can hold. Raises ValueError where none are found."""
        import numpy as np

        found = random_inputs(self.program, seed, sizes, scale)
        return {n: a.astype(np.float32).astype(np.float64) if a.dtype.kind == "f" else a for n, a in found.items()}

    def data(self, loss: LossModule, arrays: Mapping[str, Array], seed: int = 0) -> Data:
        """What a module sees with these inputs: with the values it holds and what it draws."""
        given = tensors(arrays)
        loss.generator = torch.Generator().manual_seed(seed)
        complete, sizes = loss._complete(dict(given))
        by_role: dict[str, dict[str, Array]] = {"input": dict(arrays), "hyper": {}, "state": {}, "random": {}}
        for declared in loss.compiled.program.declared:
            if declared.name in complete and declared.role not in ("input", "frozen"):
                role = "input" if declared.role == "learn" else declared.role
                by_role[role][declared.name] = complete[declared.name].detach().numpy()
        # A hyper that was made a parameter is still a hyper of the text.
        texts = {d.name: d.role for d in self.program.declared}
        for name in [n for n in by_role["input"] if texts[n] == "hyper"]:
            by_role["hyper"][name] = by_role["input"].pop(name)
        step = int(complete["step"]) if "step" in complete else 0
        return Data(by_role["input"], by_role["hyper"], by_role["state"], by_role["random"], step, sizes)

    def exact(self, data: Data) -> Result:
        """The exact value by the reference."""
        return reference(
            self.program,
            data.inputs,
            data.hypers,
            state=data.state,
            draws=data.draws,
            step=data.step,
            precision="exact",
        )

    def exact_gradient(self, data: Data, name: str) -> Array:
        import numpy as np

        found = reference_gradient(
            self.program, data.inputs, name, data.hypers, state=data.state, draws=data.draws, step=data.step
        )
        return np.array([float(x) for x in np.asarray(found).flat]).reshape(np.shape(found))

    def rounded(self, data: Data, bits: int, seed: int) -> Results:
        """The value and gradients by the reference, each of whose steps is rounded to so many bits."""
        return rounded_reference(
            self.program,
            data.inputs,
            self.learners,
            bits,
            seed,
            hypers=data.hypers,
            state=data.state,
            draws=data.draws,
            step=data.step,
        )

    @cached_property
    def elaborated(self) -> tuple[Program, Module, Scope, Session]:
        """The loss elaborated once more, for its laws: with the scope they are written in."""
        recipe = self.loss.compiled.recipe
        checked = check_source(self.loss.compiled.source, Library(), recipe.path, recipe.loss)
        assert checked.module is not None
        syntax = checked.module.losses[self.name]
        program, scope, session = elaborate(syntax, checked.module, Report())
        return with_hypers(program, self.hypers), checked.module, scope, session


def with_hypers(program: Program, values: Mapping[str, Number]) -> Program:
    """The program with other defaults of its hypers."""
    return replace(
        program,
        declared=[
            replace(d, default=program.graph.constant(values[d.name]), values=None) if d.name in values else d
            for d in program.declared
        ],
    )


def subject(spec: str | LossModule, **options: Any) -> Subject:
    """The subject of a spec: a module, the name of a loss of the standard library, a file, or a text.

    Options are those of `lossdsl.compile`. A hyper without a default gets a random value from its range.
    """
    if isinstance(spec, LossModule):
        return Subject(spec)
    if spec not in stdlib_index() and not spec.partition(":")[0].endswith(".loss"):
        return subject_of(Recipe(spec, "<text>"), options)
    path, loss, shown = api._located(spec)
    options.setdefault("name", loss)
    return subject_of(Recipe(path.read_bytes().decode("utf-8"), shown, path), options)


def subject_of(recipe: Recipe, options: Mapping[str, Any]) -> Subject:
    """The subject of a text that is already read."""
    try:
        return Subject(api._built(recipe, dict(options)))
    except Unbound:
        written, _ = read_program(replace(recipe, loss=options.get("name")))
        found = random_hypers(written, 0)
        values = {n: a.item() if a.ndim == 0 else a.tolist() for n, a in found.items()}
        return Subject(api._built(recipe, {**values, **options}))


def tensors(arrays: Mapping[str, Array], dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Arrays as tensors: real numbers in a type, all others as they are."""
    made = {n: torch.tensor(a) for n, a in arrays.items()}
    return {n: t.to(dtype) if t.is_floating_point() else t for n, t in made.items()}


def run(loss: LossModule, given: Mapping[str, Tensor], seed: int = 0) -> Results:
    """The value of a module and its gradients, in float64."""
    roles = {d.name: d for d in loss.compiled.program.inputs}
    leaves: dict[str, Tensor] = {}
    passed: dict[str, Tensor] = {}
    for name, tensor in given.items():
        learns = roles[name].role == "input" and roles[name].leaf.kind == REAL
        passed[name] = tensor.detach().requires_grad_() if learns else tensor
        if learns:
            leaves[name] = passed[name]
    loss.generator = torch.Generator().manual_seed(seed)
    value = loss(**passed)
    for name, held in loss.held.items():
        if isinstance(held, torch.nn.Parameter):
            leaves[name] = held
    found: tuple[Tensor | None, ...] = (None,) * len(leaves)
    if value.requires_grad:
        found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    gradients = {n: torch.zeros_like(t) if g is None else g for (n, t), g in zip(leaves.items(), found, strict=True)}
    return {"": value.detach().double().numpy(), **{n: g.double().numpy() for n, g in gradients.items()}}
