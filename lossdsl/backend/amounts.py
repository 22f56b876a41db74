"""How amounts of memory are told."""

from __future__ import annotations

_SCALES = ((10**15, "PB"), (10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "KB"))


def shown(count: int) -> str:
    """A number of bytes."""
    for scale, unit in _SCALES:
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} bytes"
