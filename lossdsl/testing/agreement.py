"""Whether modules compute what the reference says, in value and gradient.

A result may differ by a small part of its scale, and by what rounding the inputs changes. The latter is
measured with the module in float64, which is compared with the reference on the same inputs: inputs a float32
rounding away are tried. Where more than that is lost, the text itself may be badly conditioned on the way, as a small
difference of computed numbers is: then a result may differ by what rounding each step of the reference changes.
What is not a number is never excused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from lossdsl.backend.guards import InputError
from lossdsl.module import LossModule
from lossdsl.testing.subjects import Data, Results, Subject, run, tensors

if TYPE_CHECKING:
    import numpy as np

    from lossdsl.testing.subjects import Array

_NEIGHBOURS = 4
_ROUNDINGS = 8.0
_FLOOR = 8.0
"""How many units in the last place of the largest result any other may be wrong."""
_NOTHING = 1e-100
"""What the reference may leave of a result that is 0."""
RELATIVE = {torch.float64: 1e-9, torch.float32: 1e-5}
"""The part of a result's scale that may be wrong."""
_SCALES = (1.0, 3.0, 0.3, 10.0)


@dataclass
class Sample:
    """One batch: the inputs, what the reference says, and how far rounding moves it."""

    number: int
    arrays: dict[str, Array]
    data: Data
    exact: Results
    moved: dict[torch.dtype, Results] = field(default_factory=dict)
    """How far each result moves when inputs are rounded otherwise, by the type they are rounded to."""
    subject: Subject | None = None
    """Whose sample it is, where steps of the text may be rounded too."""
    stepwise: dict[torch.dtype, Results] = field(default_factory=dict)
    """How far each result moves when each step is rounded, found where it is asked for."""

    def allowed(self, name: str, dtype: torch.dtype, *, stepwise: bool = False) -> float:
        """How far a result may lie from the exact one; `stepwise` also by what rounding the steps of the text changes."""
        import numpy as np

        unit = torch.finfo(dtype).eps
        largest = max((float(np.max(np.abs(x[np.isfinite(x)]), initial=0.0)) for x in self.exact.values()), default=0.0)
        # What is 0 altogether may be so as a difference of numbers about 1, as a divergence of equal distributions.
        largest = largest if largest > _NOTHING else 1.0
        own = self.exact[name]
        scale = float(np.max(np.abs(own[np.isfinite(own)]), initial=0.0))
        rounding = float(np.max(np.nan_to_num(self.moved[dtype][name], posinf=0.0), initial=0.0))
        floor = _FLOOR * unit * largest + torch.finfo(dtype).tiny
        allowed = RELATIVE[dtype] * scale + floor + _ROUNDINGS * rounding
        if not stepwise or self.subject is None:
            return allowed
        if dtype not in self.stepwise:
            self.stepwise[dtype] = _measure_steps(self.subject, self, dtype)
        steps = float(np.max(np.nan_to_num(self.stepwise[dtype][name], posinf=0.0), initial=0.0))
        return allowed + _ROUNDINGS * steps

    def size(self, axis: str) -> int:
        """The size of an axis that data gives its size."""
        return next(size for known, size in self.data.sizes.items() if known.name == axis)

    def shapes(self) -> str:
        return ", ".join(f"{n} {list(a.shape)}" for n, a in self.arrays.items())


def samples(subject: Subject, count: int, first: int = 0) -> Iterator[Sample]:
    """Batches on which the loss has a finite value, of several sizes and scales."""
    import numpy as np

    for number in range(first, first + count):
        loss = subject.variant()
        try:
            arrays = subject.arrays(number, _SCALES[number % len(_SCALES)])
            data = subject.data(loss, arrays, number)
        except (InputError, ValueError):
            continue  # no value for these sizes, or no inputs that satisfy the declarations
        result = subject.exact(data)
        if not np.isfinite(float(result.value)):
            continue
        exact = {"": np.array(float(result.value))}
        exact |= {n: subject.exact_gradient(data, n) for n in subject.learners}
        sample = Sample(number, arrays, data, exact, subject=subject)
        _measure(loss, sample)
        yield sample


def _measure(loss: LossModule, sample: Sample) -> None:
    """How far results move when inputs are rounded otherwise."""
    import numpy as np

    here = run(loss, tensors(sample.arrays), sample.number)
    random = np.random.default_rng(sample.number)
    for dtype in RELATIVE:
        unit = torch.finfo(dtype).eps / 2
        moved = sample.moved[dtype] = {n: np.zeros_like(x) for n, x in here.items()}
        for _ in range(_NEIGHBOURS):
            near = _neighbour(sample.arrays, unit, random)
            for name, found in run(loss, tensors(near), sample.number).items():
                moved[name] = np.fmax(moved[name], np.abs(found - here[name]))


def _neighbour(arrays: Mapping[str, Array], unit: float, random: np.random.Generator) -> dict[str, Array]:
    """The same with each real number one rounding away."""
    return {
        n: a * (1 + unit * random.choice([-1.0, 1.0], a.shape)) if a.dtype.kind == "f" else a for n, a in arrays.items()
    }


def _measure_steps(subject: Subject, sample: Sample, dtype: torch.dtype) -> Results:
    """How far the reference moves when each of its steps is rounded, here and at inputs a rounding away."""
    import numpy as np

    random = np.random.default_rng(sample.number)
    bits = 1 - round(np.log2(torch.finfo(dtype).eps))
    moved = {n: np.zeros_like(x) for n, x in sample.exact.items()}
    for number in range(_NEIGHBOURS):
        unit = torch.finfo(dtype).eps / 2 if number else 0.0
        near = replace(sample.data, inputs=_neighbour(sample.data.inputs, unit, random))
        for name, found in subject.rounded(near, bits, number).items():
            if name in moved:
                moved[name] = np.fmax(moved[name], np.abs(found - sample.exact[name]))
    return moved


def complaints(got: Results, sample: Sample, dtype: torch.dtype, what: str = "the reference") -> list[str]:
    """Where results differ from the exact ones by more than they may."""
    import numpy as np

    wrong = []
    for name, right in sample.exact.items():
        # Where the chain rule as written is infinity times zero there is nothing to compare with.
        known = np.isfinite(right) & (np.abs(right) <= torch.finfo(dtype).max)
        found = got[name]
        if found.shape != right.shape:
            wrong.append(f"{_called(name)} has the shape {found.shape}, not {right.shape}")
            continue
        off = np.where(known, np.abs(found - np.where(known, right, 0.0)), 0.0)
        allowed = sample.allowed(name, dtype)
        if np.all(np.isfinite(off)) and np.any(off > allowed):
            allowed = sample.allowed(name, dtype, stepwise=True)
        if np.any(~(off <= allowed)):
            place = np.unravel_index(int(np.argmax(np.nan_to_num(off, nan=np.inf))), off.shape)
            at = f" at {[int(i) for i in place]}" if place else ""
            wrong.append(
                f"{_called(name)}{at} is {float(found[place]):.12g}; {what} says {float(right[place]):.12g} "
                f"(allowed difference {allowed:.2g}); sample {sample.number}: {sample.shapes()}"
            )
    return wrong


def _called(name: str) -> str:
    return f"the gradient by `{name}`" if name else "the value"


def against_reference(loss: LossModule, sample: Sample, dtype: torch.dtype) -> list[str]:
    """What is wrong about a module on one sample."""
    return complaints(run(loss, tensors(sample.arrays, dtype), sample.number), sample, dtype)


Change = Callable[[Mapping[str, torch.Tensor]], dict[str, torch.Tensor]]


def strided(given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same numbers, not contiguous in memory: every second place of something larger, turned around."""
    made = {}
    for name, t in given.items():
        wide = torch.zeros([2 * s for s in reversed(t.shape)], dtype=t.dtype)
        view = wide[tuple(slice(None, None, 2) for _ in t.shape)].permute(*reversed(range(t.dim())))
        view.copy_(t)
        made[name] = view
    return made


def narrow(given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same numbers, whole ones as int32."""
    return {n: t.int() if t.dtype is torch.int64 else t for n, t in given.items()}


def expanded(given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """One row for all, as a view: of real numbers, whose first row is repeated without memory."""
    return {n: t[:1].expand_as(t) if t.is_floating_point() and t.dim() and len(t) else t for n, t in given.items()}


def unchanged_by(change: Change, base: Change, loss: LossModule, sample: Sample) -> list[str]:
    """What differs between two ways to hold the same numbers in memory."""
    import numpy as np

    plain = run(loss, base(tensors(sample.arrays)), sample.number)
    other = run(loss, change(tensors(sample.arrays)), sample.number)
    wrong = []
    for name, right in plain.items():
        scale = float(np.max(np.abs(right[np.isfinite(right)]), initial=0.0))
        same = np.isclose(other[name], right, rtol=1e-9, atol=1e-12 * (1 + scale), equal_nan=True)
        if not np.all(same):
            wrong.append(f"{_called(name)} changes, by {np.nanmax(np.abs(other[name] - right)):.3g}; {sample.shapes()}")
    return wrong
