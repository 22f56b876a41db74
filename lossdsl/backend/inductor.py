"""Functions through inductor, and their graphs called past the questions that torch.compile asks first.

At each call torch.compile looks whether a graph fits: at types, shapes and strides, and at the settings of torch. That
takes longer than a small loss. Where the caller has seen that a call is like one before, the graph that ran then is
called at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

Run = Callable[..., Any]
_Seen = tuple[Run, tuple[Any, ...], Sequence[Any]]
_ON_CPU = {"realize_reads_threshold": 8}
"""Inductor's CPU code stores and loads masks place by place. Working a mask of a few inputs out again takes less."""


@cache
def graphs(run: Run) -> Graphs:
    """The graphs of an emitted function. Modules of one text share them: dynamo counts them by function."""
    return Graphs(run)


class Graphs:
    """A function through inductor; sizes that change are compiled for once more, and then for all.

    Where torch refuses to compile for yet another kind of call, the function runs as it is.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._warned = False
        self._compiled = torch.compile(run, fullgraph=True, backend=self._made)
        self._seen: _Seen | None = None
        self.last: Run | None = None
        """What the last call ran, for calls with other tensors of the same types, shapes and strides."""

    def __call__(self, *tensors: Tensor) -> Any:
        try:
            result = self._compiled(*tensors)
        except torch._dynamo.exc.FailOnRecompileLimitHit:
            self._say()
            self._seen = self.last = None
            return self._run(*tensors)
        seen, self._seen = self._seen, None
        self.last = _again(seen, tensors, result) if seen is not None else None
        return result

    def _say(self) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                "lossdsl: a loss is called in more ways (dtypes, sizes of 1) than torch compiles one function for; "
                "further ones run as plain torch code. Raise torch._dynamo.config.recompile_limit to have them compiled",
                stacklevel=2,
            )

    def _made(self, graph: Any, examples: Sequence[Any]) -> Run:
        from torch._inductor.compile_fx import compile_fx

        on_cpu = all(t.device.type == "cpu" for t in examples if isinstance(t, Tensor))
        run: Run = compile_fx(graph, examples, config_patches=_ON_CPU if on_cpu else None)  # type: ignore[assignment]

        def watched(*arguments: Any) -> Any:
            outputs = run(*arguments)
            self._seen = run, arguments, outputs
            return outputs

        return watched


def _again(seen: _Seen, tensors: tuple[Tensor, ...], result: Any) -> Run | None:
    """The graph as a function of the tensors; None where what it takes or gives has other origins than is plain."""
    run, arguments, outputs = seen
    given = {id(t): place for place, t in enumerate(tensors)}
    if len(given) < len(tensors):
        return None
    takes: list[tuple[int, Any]] = []
    for argument in arguments:
        if isinstance(argument, Tensor):
            if id(argument) not in given:
                return None
            takes.append((given[id(argument)], None))
        else:
            takes.append((-1, argument))
    made = [id(output) for output in outputs]
    results = result if isinstance(result, tuple) else (result,)
    if any(id(r) not in made for r in results):
        return None
    gives = [made.index(id(r)) for r in results]

    def again(*tensors: Tensor) -> tuple[Tensor, ...]:
        outputs = run(*[tensors[place] if place >= 0 else number for place, number in takes])
        return tuple([outputs[place] for place in gives])

    return again
