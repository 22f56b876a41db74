"""Sizes of calls that are traced: symbols, which are looked at without binding what is traced to them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes


def likely(tensor: Tensor) -> Tensor:
    """A tensor that holds nothing, with the sizes of the call that is traced, or of a transformed one."""
    with _disable_current_modes():
        return torch.empty([_size(n) for n in tensor.shape], dtype=tensor.dtype, device="meta")


def _size(size: int | torch.SymInt) -> int:
    """What a size is in this call; 1 where only data tell."""
    hint = size.node.hint if isinstance(size, torch.SymInt) else size
    return 1 if hint is None else int(hint)
