"""Losses with large intermediate values: ours in blocks, in one piece by hand, and in chunks by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import lossdsl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.streaming.heads import HEADS, Head

Step = Callable[[], Tensor]
Make = Callable[[Sequence[Tensor]], Step]

HEAD = """
loss over_a_head {
  input hidden: real[T, D]
  input head: real[V, D]
  input next: index(V)[T] or -100
  logits = dot[D](hidden, head)
  minimize %s(logits, next)
}
"""
ENERGY = """
loss gaussian_mmd {
  input x: real[N, D]
  frozen y: real[M, D]
  axis P like N
  hyper width: real = 8 where width > 0
  own = mean[N, P](exp(-sqeuclid[D](x, x[N -> P]) / (2 * width)))
  cross = mean[N, M](exp(-sqeuclid[D](x, y) / (2 * width)))
  minimize own - 2 * cross
}
"""


@dataclass(frozen=True)
class Case:
    """One loss with its sizes, and those who compute it."""

    name: str
    sizes: dict[str, int]
    inputs: Callable[[dict[str, int]], list[Tensor]]
    contenders: dict[str, Make]
    floor: Callable[[dict[str, int]], int]
    """The operations of the products that cannot be saved, with gradients in forward."""


def ours(text: str, **options: Any) -> Make:
    def make(tensors: Sequence[Tensor]) -> Step:
        loss = lossdsl.compile(text, **options) if "{" in text else lossdsl.load(text, **options)
        return lambda: loss(*tensors)

    return make


def head_inputs(sizes: dict[str, int]) -> list[Tensor]:
    hidden = torch.randn(sizes["T"], sizes["D"], requires_grad=True)
    head = (torch.randn(sizes["V"], sizes["D"]) * 0.05).requires_grad_()
    next = torch.randint(0, sizes["V"], (sizes["T"],))
    next[::7] = -100
    return [hidden, head, next]


def dense_cross_entropy(tensors: Sequence[Tensor]) -> Step:
    hidden, head, next = tensors
    return lambda: F.cross_entropy(hidden @ head.T, next)


def compiled(make: Make) -> Make:
    return lambda tensors: torch.compile(make(tensors))


def torch_linear(tensors: Sequence[Tensor]) -> Step:
    hidden, head, next = tensors
    function: Any = F.linear_cross_entropy
    options = getattr(torch.nn, "LinearCrossEntropyOptions", None)
    given = {"options": options()} if options is not None else {}
    return lambda: function(hidden, head, next, **given)


def _focal_rows(z: Tensor, labels: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The focal loss (gamma 2) of rows of scores, and in place of the scores its gradient."""
    z.sub_(z.logsumexp(1)[:, None])
    logp = z.gather(1, labels[:, None])[:, 0]
    p = logp.exp()
    value = (weight * -((1 - p) ** 2) * logp).sum()
    slope = weight * (2 * p * (1 - p) * logp - (1 - p) ** 2)
    z.exp_().mul_(-slope[:, None])
    z.scatter_add_(1, labels[:, None], slope[:, None])
    return value, z


def _entropy_rows(z: Tensor, labels: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    total = z.logsumexp(1)
    value = (weight * (total - z.gather(1, labels[:, None])[:, 0])).sum()
    z.sub_(total[:, None]).exp_()
    z.scatter_add_(1, labels[:, None], -torch.ones_like(z[:, :1]))
    return value, z.mul_(weight[:, None])


def chunked(rows_of: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]], length: int) -> Make:
    """Chunks of rows, with the gradients in forward, as a good engineer writes it."""

    class Chunks(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, hidden: Tensor, head: Tensor, next: Tensor) -> Tensor:
            kept = next != -100
            labels, weight = next.clamp(min=0), kept.to(hidden.dtype) / kept.sum()
            by_hidden, by_head = torch.empty_like(hidden), torch.zeros_like(head)
            total = hidden.new_zeros(())
            for start in range(0, len(hidden), length):
                part = slice(start, start + length)
                value, z = rows_of(hidden[part] @ head.T, labels[part], weight[part])
                total += value
                torch.mm(z, head, out=by_hidden[part])
                by_head.addmm_(z.T, hidden[part])
            ctx.save_for_backward(by_hidden, by_head)
            return total

        @staticmethod
        def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, None]:
            by_hidden, by_head = ctx.saved_tensors
            return by_hidden * upstream, by_head * upstream, None

    def make(tensors: Sequence[Tensor]) -> Step:
        return lambda: Chunks.apply(*tensors)

    return make


def dense_focal(tensors: Sequence[Tensor]) -> Step:
    hidden, head, next = tensors

    def step() -> Tensor:
        kept = next != -100
        logp = F.log_softmax(hidden @ head.T, 1).gather(1, next.clamp(min=0)[:, None])[:, 0]
        return torch.where(kept, -((1 - logp.exp()) ** 2) * logp, 0).sum() / kept.sum()

    return step


def pair_inputs(sizes: dict[str, int]) -> list[Tensor]:
    return [torch.randn(sizes["B"], sizes["D"], requires_grad=True) for _ in range(2)]


def dense_info_nce(tensors: Sequence[Tensor]) -> Step:
    image, text = tensors
    labels = torch.arange(len(image))

    def step() -> Tensor:
        s = F.normalize(image, dim=1) @ F.normalize(text, dim=1).T / 0.07
        return (F.cross_entropy(s, labels) + F.cross_entropy(s.T, labels)) / 2

    return step


def tiled_info_nce(length: int) -> Make:
    """Row blocks twice: partition functions of rows and columns first, then the gradients."""

    class Tiles(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
            count = len(x)
            rows, columns = x.new_empty(count), x.new_full((count,), -torch.inf)
            for start in range(0, count, length):
                s = x[start : start + length] @ y.T / 0.07
                rows[start : start + length] = s.logsumexp(1)
                columns = torch.logaddexp(columns, s.logsumexp(0))
            own = (x * y).sum(1) / 0.07
            by_x, by_y = torch.empty_like(x), torch.zeros_like(y)
            for start in range(0, count, length):
                part = slice(start, start + length)
                s = x[part] @ y.T / 0.07
                g = (s - rows[part, None]).exp_().add_((s - columns).exp_())
                g[torch.arange(len(g)), torch.arange(start, start + len(g))] -= 2
                g.mul_(1 / (2 * count * 0.07))
                torch.mm(g, y, out=by_x[part])
                by_y.addmm_(g.T, x[part])
            ctx.save_for_backward(by_x, by_y)
            return (rows + columns - 2 * own).mean() / 2

        @staticmethod
        def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor]:
            by_x, by_y = ctx.saved_tensors
            return by_x * upstream, by_y * upstream

    def make(tensors: Sequence[Tensor]) -> Step:
        image, text = tensors
        return lambda: Tiles.apply(F.normalize(image, dim=1), F.normalize(text, dim=1))

    return make


def dense_siglip(tensors: Sequence[Tensor]) -> Step:
    image, text = tensors

    def step() -> Tensor:
        s = 10 * F.normalize(image, dim=1) @ F.normalize(text, dim=1).T - 10
        sign = 2 * torch.eye(len(image)) - 1
        return -F.logsigmoid(sign * s).sum() / len(image)

    return step


def labelled_inputs(sizes: dict[str, int]) -> list[Tensor]:
    return [torch.randn(sizes["B"], sizes["D"], requires_grad=True), torch.randint(0, sizes["B"] // 8, (sizes["B"],))]


def dense_supcon(tensors: Sequence[Tensor]) -> Step:
    z, label = tensors

    def step() -> Tensor:
        u = F.normalize(z, dim=1)
        s = u @ u.T / 0.1
        own = torch.eye(len(z), dtype=torch.bool)
        positive = (label[:, None] == label) & ~own
        logp = s - s.masked_fill(own, -torch.inf).logsumexp(1, keepdim=True)
        count = positive.sum(1)
        each = -torch.where(positive, logp, 0).sum(1)[count > 0] / count[count > 0]
        return each.mean()

    return step


def dense_triplet(tensors: Sequence[Tensor]) -> Step:
    z, label = tensors

    def step() -> Tensor:
        d = torch.cdist(z, z)
        same = label[:, None] == label
        positive = same & ~torch.eye(len(z), dtype=torch.bool)
        valid = positive.any(1) & (~same).any(1)
        far = d.masked_fill(~positive, -torch.inf).amax(1)
        near = d.masked_fill(same, torch.inf).amin(1)
        return (far - near + 0.3)[valid].relu().mean()

    return step


def cloud_inputs(sizes: dict[str, int]) -> list[Tensor]:
    scale = sizes["D"] ** -0.5
    x = (torch.randn(sizes["N"], sizes["D"]) * scale).requires_grad_()
    return [x, torch.randn(sizes["M"], sizes["D"]) * scale + 0.1]


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    squares = (x * x).sum(1)[:, None] + (y * y).sum(1) - 2 * x @ y.T
    return torch.exp(-squares / 16)


def dense_mmd(tensors: Sequence[Tensor]) -> Step:
    x, y = tensors
    return lambda: _kernel(x, x).mean() - 2 * _kernel(x, y).mean()


def keops_mmd(tensors: Sequence[Tensor]) -> Step:
    from pykeops.torch import LazyTensor  # type: ignore[import-not-found]

    x, y = tensors

    def total(a: Tensor, b: Tensor) -> Tensor:
        squares = ((LazyTensor(a[:, None]) - LazyTensor(b[None])) ** 2).sum(-1)
        return (-squares / 16).exp().sum(1).sum() / (len(a) * len(b))

    return lambda: total(x, x) - 2 * total(x, y)


def preferences(name: str, products: int) -> Case:
    """A preference or policy loss from hidden states: pairs of sequences, or two groups of them."""
    head = next(h for h in HEADS if h.name == name)
    return Case(
        f"{name} from hidden states",
        {"S": 2, "B": 8, "T": 256, "D": 512, "V": 32000},
        lambda sizes: preference_inputs(head, sizes),
        {"ours": ours(head.text), "dense": lambda tensors: lambda: head.by_hand(**_named(head, tensors))},
        lambda s: products * s["S"] * s["B"] * s["T"] * s["D"] * s["V"],
    )


def preference_inputs(head: Head, sizes: dict[str, int]) -> list[Tensor]:
    lead = (sizes["S"], sizes["B"], sizes["T"])
    hidden, weights, labels = head_inputs({**sizes, "T": lead[0] * lead[1] * lead[2]})
    made = {
        "hidden": hidden.detach().reshape(*lead, -1).requires_grad_(),
        "head": weights,
        "next": labels.reshape(lead),
        "ref_hidden": (hidden.detach() + 0.1 * torch.randn_like(hidden)).reshape(*lead, -1),
        "ref_head": weights.detach().clone(),
        "old": torch.full(lead, -10.0),
        "advantage": torch.randn(lead[:2]),
        "baseline": torch.randn(lead[1]),
    }
    return [made[n] for n in lossdsl.compile(head.text).inputs]


def _named(head: Head, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    return dict(zip(lossdsl.compile(head.text).inputs, tensors, strict=True))


def _over_a_head(sizes: dict[str, int]) -> int:
    return 6 * sizes["T"] * sizes["V"] * sizes["D"]


def _over_pairs(sweeps: int) -> Callable[[dict[str, int]], int]:
    return lambda sizes: (2 * sweeps + 4) * sizes["B"] ** 2 * sizes["D"]


def clouds(points: int, dim: int, peers: dict[str, Make]) -> Case:
    """The kernels between all pairs of two clouds of points."""
    return Case(
        f"gaussian_mmd of {points:,} points, D = {dim}",
        {"N": points, "M": points, "D": dim},
        cloud_inputs,
        {"ours": ours(ENERGY), "dense": dense_mmd, **peers},
        lambda s: 8 * s["N"] * (s["N"] + s["M"]) * s["D"],
    )


CASES = [
    # 6 for the policy, 2 for the reference.
    *(preferences(name, 8) for name in ("dpo", "ipo", "kto")),
    *(preferences(name, 6) for name in ("simpo", "orpo", "grpo")),
    Case(
        "cross_entropy over a head",
        {"T": 4096, "D": 512, "V": 32000},
        head_inputs,
        {
            "ours": ours(HEAD % "cross_entropy"),
            "ours, plain torch": ours(HEAD % "cross_entropy", backend="eager"),
            "dense": dense_cross_entropy,
            "dense, compiled": compiled(dense_cross_entropy),
            "F.linear_cross_entropy": torch_linear,
            "chunks by hand": chunked(_entropy_rows, 512),
        },
        _over_a_head,
    ),
    Case(
        "focal over a head",
        {"T": 4096, "D": 256, "V": 32000},
        head_inputs,
        {
            "ours": ours(HEAD % "focal"),
            "ours, plain torch": ours(HEAD % "focal", backend="eager"),
            "dense": dense_focal,
            "dense, compiled": compiled(dense_focal),
            "chunks by hand": chunked(_focal_rows, 256),
        },
        _over_a_head,
    ),
    Case(
        "info_nce_symmetric",
        {"B": 8192, "D": 256},
        pair_inputs,
        {
            "ours": ours("info_nce_symmetric", temperature=0.07),
            "ours, plain torch": ours("info_nce_symmetric", temperature=0.07, backend="eager"),
            "dense": dense_info_nce,
            "dense, compiled": compiled(dense_info_nce),
            "tiles by hand": tiled_info_nce(512),
        },
        _over_pairs(2),
    ),
    Case(
        "info_nce_symmetric, large",
        {"B": 32768, "D": 256},
        pair_inputs,
        {
            "ours": ours("info_nce_symmetric", temperature=0.07),
            "tiles by hand": tiled_info_nce(512),
        },
        _over_pairs(2),
    ),
    Case(
        "siglip",
        {"B": 8192, "D": 256},
        pair_inputs,
        {"ours": ours("siglip"), "dense": dense_siglip, "dense, compiled": compiled(dense_siglip)},
        _over_pairs(1),
    ),
    Case(
        "supcon",
        {"B": 8192, "D": 256},
        labelled_inputs,
        {"ours": ours("supcon"), "dense": dense_supcon, "dense, compiled": compiled(dense_supcon)},
        _over_pairs(1),
    ),
    Case(
        "batch_hard_triplet",
        {"B": 8192, "D": 256},
        labelled_inputs,
        {"ours": ours("batch_hard_triplet"), "dense": dense_triplet},
        _over_pairs(1),
    ),
    clouds(20000, 3, {"pykeops": keops_mmd}),
    # pykeops takes minutes for a step of the last one.
    clouds(3000, 700, {"pykeops": keops_mmd}),
    clouds(20000, 700, {}),
]
