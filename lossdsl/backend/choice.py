"""How an emitted function is run: as it is, or through inductor. Chosen by size, with numbers measured once.

Below the threshold the time is that of calling into torch at all, of which compiled code saves little; and the first
call through inductor costs seconds, once for each machine, as inductor keeps what it made.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Mapping, Sequence
from functools import cache

import torch

INDUCTOR_FROM = 2**13
"""Elements of the largest value from which a fused graph pays."""


@cache
def can_compile(device: str) -> bool:
    """Whether inductor has what it needs; says once if not."""
    if device == "cpu":
        wanted = [os.environ.get("CXX") or "", "g++", "clang++"]
        if not any(name and shutil.which(name) for name in wanted):
            warnings.warn(
                "lossdsl: there is no C++ compiler, so losses run as plain torch code; "
                "install g++ or clang++ for more speed",
                stacklevel=3,
            )
            return False
    return True


def elements(largest: Sequence[tuple[str, ...]], sizes: Mapping[str, int]) -> int:
    """The number of elements of the largest value that a function computes."""
    most = 1
    for axes in largest:
        count = 1
        for axis in axes:
            count *= sizes.get(axis, 1)
        most = max(most, count)
    return most


def through_inductor(backend: str | None, count: int, device: torch.device) -> bool:
    """Whether a call of that size goes through inductor."""
    if backend == "eager" or torch.compiler.is_compiling():
        return False
    if backend is None and count < INDUCTOR_FROM:
        return False
    return can_compile(device.type)
