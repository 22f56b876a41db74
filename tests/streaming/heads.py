"""Losses of logits, over linear heads: the text of each, and the same by hand in plain torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS, DIM, CLASSES = 11, 4, 9


@dataclass(frozen=True)
class Head:
    """A loss over one or more heads."""

    name: str
    text: str
    by_hand: Callable[..., Tensor]
    pairs: bool = False
    """Whether it compares sequences of chosen and rejected tokens."""

    def declared(self, name: str) -> bool:
        """Whether the text declares an input of that name."""
        return f" {name}: " in self.text


ONE = """
  input hidden: real[T, D]
  input head: real[V, D]
  input next: index(V)[T] or -100
  logits = dot[D](hidden, head)
"""
BIASED = """
  input hidden: real[T, D]
  input head: real[V, D]
  input bias: real[V]
  input next: index(V)[T] or -100
  logits = dot[D](hidden, head) + bias
"""
TWO = """
  input hidden: real[T, D]
  input head: real[V, D]
  frozen teacher_hidden: real[T, E]
  frozen teacher_head: real[V, E]
  hyper tau: real = 1.5 where tau > 0
  p = log_softmax[V](dot[E](teacher_hidden, teacher_head) / tau)
  q = log_softmax[V](dot[D](hidden, head) / tau)
"""


def loss(body: str, declared: str = ONE) -> str:
    return f"loss over_a_head {{{declared}{body}\n}}\n"


def rows(hidden: Tensor, head: Tensor, next: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The scores, labels and log-probabilities of the tokens that count."""
    kept = next != -100
    scores = hidden[kept] @ head.T
    return scores, next[kept], F.log_softmax(scores, 1)


def cross_entropy(hidden: Tensor, head: Tensor, next: Tensor) -> Tensor:
    scores, labels, _ = rows(hidden, head, next)
    return F.cross_entropy(scores, labels)


def smoothed(hidden: Tensor, head: Tensor, next: Tensor) -> Tensor:
    scores, labels, _ = rows(hidden, head, next)
    return F.cross_entropy(scores, labels, label_smoothing=0.1)


def with_z(hidden: Tensor, head: Tensor, next: Tensor) -> Tensor:
    scores, labels, _ = rows(hidden, head, next)
    return F.cross_entropy(scores, labels) + 0.01 * scores.logsumexp(1).square().mean()


def capped(hidden: Tensor, head: Tensor, next: Tensor) -> Tensor:
    scores, labels, _ = rows(hidden, head, next)
    return F.cross_entropy(3 * torch.tanh(scores / 3), labels)


def focal(hidden: Tensor, head: Tensor, next: Tensor) -> Tensor:
    _, labels, logp = rows(hidden, head, next)
    picked = logp.gather(1, labels[:, None])[:, 0]
    return -((1 - picked.exp()) ** 2 * picked).mean()


def poly(hidden: Tensor, head: Tensor, next: Tensor) -> Tensor:
    _, labels, logp = rows(hidden, head, next)
    picked = logp.gather(1, labels[:, None])[:, 0]
    return (-picked + 1 - picked.exp()).mean()


def weighted(hidden: Tensor, head: Tensor, next: Tensor, weight: Tensor) -> Tensor:
    kept = next != -100
    scores, labels, _ = rows(hidden, head, next)
    each = F.cross_entropy(scores, labels, reduction="none")
    return (weight[kept] * each).sum() / weight[kept].sum()


def with_entropy(hidden: Tensor, head: Tensor, next: Tensor) -> Tensor:
    scores, labels, logp = rows(hidden, head, next)
    return F.cross_entropy(scores, labels) + 0.1 * (logp.exp() * logp).sum(1).mean()


def squentropy(hidden: Tensor, head: Tensor, next: Tensor) -> Tensor:
    scores, labels, _ = rows(hidden, head, next)
    others = torch.ones_like(scores).scatter(1, labels[:, None], 0)
    return F.cross_entropy(scores, labels) + ((others * scores.square()).sum(1) / (scores.shape[1] - 1)).mean()


def with_bias(hidden: Tensor, head: Tensor, bias: Tensor, next: Tensor) -> Tensor:
    kept = next != -100
    return F.cross_entropy(hidden[kept] @ head.T + bias, next[kept])


def expected_number(hidden: Tensor, head: Tensor, next: Tensor) -> Tensor:
    _, labels, logp = rows(hidden, head, next)
    values = torch.arange(head.shape[0], dtype=head.dtype)
    return ((logp.exp() @ values - labels.to(head.dtype)) ** 2).mean()


def distilled(direction: str) -> Callable[..., Tensor]:
    def by_hand(hidden: Tensor, head: Tensor, teacher_hidden: Tensor, teacher_head: Tensor) -> Tensor:
        p = F.log_softmax(teacher_hidden @ teacher_head.T / 1.5, 1)
        q = F.log_softmax(hidden @ head.T / 1.5, 1)
        m = torch.log((p.exp() + q.exp()) / 2)
        each = {
            "forward": (p.exp() * (p - q)).sum(1),
            "reverse": (q.exp() * (q - p)).sum(1),
            "middle": (p.exp() * (p - m)).sum(1) / 2 + (q.exp() * (q - m)).sum(1) / 2,
        }[direction]
        return each.mean()

    return by_hand


POLICY = """
  input hidden: real[S, B, T, D]
  input head: real[V, D]
  frozen next: index(V)[S, B, T] or -100
  own = log_softmax[V](dot[D](hidden, head))[V = next]
"""
REFERENCE = """
  frozen ref_hidden: real[S, B, T, D]
  frozen ref_head: real[V, D]
  ref = log_softmax[V](dot[D](ref_hidden, ref_head))[V = next]
  gap = sum[T where next != -100](own - ref)
  margin = gap[S = 0] - gap[S = 1]
"""


def sequences(hidden: Tensor, head: Tensor, next: Tensor) -> tuple[Tensor, Tensor]:
    """The log-probability of each token, zero where it is padding, and the counts of tokens."""
    logp = F.log_softmax(hidden @ head.T, -1)
    kept = next != -100
    picked = logp.gather(-1, next.clamp(min=0)[..., None])[..., 0]
    return torch.where(kept, picked, 0), kept.sum(-1)


def margins(hidden: Tensor, head: Tensor, next: Tensor, ref_hidden: Tensor, ref_head: Tensor) -> Tensor:
    gap = (sequences(hidden, head, next)[0] - sequences(ref_hidden, ref_head, next)[0]).sum(-1)
    return gap[0] - gap[1]


def dpo(**given: Tensor) -> Tensor:
    return -F.logsigmoid(0.1 * margins(**given)).mean()


def ipo(**given: Tensor) -> Tensor:
    return ((margins(**given) - 5) ** 2).mean()


def simpo(hidden: Tensor, head: Tensor, next: Tensor) -> Tensor:
    logp, count = sequences(hidden, head, next)
    each = logp.sum(-1) / count
    return -F.logsigmoid(2 * (each[0] - each[1]) - 1).mean()


def orpo(hidden: Tensor, head: Tensor, next: Tensor) -> Tensor:
    logp, count = sequences(hidden, head, next)
    each = logp.sum(-1) / count
    odds = each - torch.log1p(-each.exp())
    return -each[0].mean() - 0.1 * F.logsigmoid(odds[0] - odds[1]).mean()


def grpo(hidden: Tensor, head: Tensor, next: Tensor, old: Tensor, advantage: Tensor) -> Tensor:
    logp, _ = sequences(hidden, head, next)
    kept = next != -100
    ratio = torch.exp(torch.where(kept, logp - old, 0))
    clipped = torch.minimum(ratio * advantage[..., None], ratio.clamp(0.8, 1.2) * advantage[..., None])
    return -clipped[kept].mean()


def kto(hidden: Tensor, head: Tensor, next: Tensor, ref_hidden: Tensor, ref_head: Tensor, baseline: Tensor) -> Tensor:
    gap = (sequences(hidden, head, next)[0] - sequences(ref_hidden, ref_head, next)[0]).sum(-1)
    return (1 - torch.sigmoid(0.1 * (gap[0] - baseline))).mean() + (1 - torch.sigmoid(0.1 * (baseline - gap[1]))).mean()


HEADS = [
    Head("cross_entropy", loss("minimize cross_entropy(logits, next)"), cross_entropy),
    Head("smoothing", loss("minimize cross_entropy(logits, next, smoothing = 0.1)"), smoothed),
    Head(
        "z_loss",
        loss(
            "term ce = cross_entropy(logits, next)\n"
            "term z = mean[T where next != -100 else 0](logsumexp[V](logits)^2)\nminimize ce + 0.01 * z"
        ),
        with_z,
    ),
    Head("soft_cap", loss("minimize cross_entropy(3 * tanh(logits / 3), next)"), capped),
    Head("focal", loss("minimize focal(logits, next)"), focal),
    Head(
        "poly",
        loss("lp = log_softmax[V](logits)[V = next]\nminimize mean[T where next != -100 else 0](-lp + (1 - exp(lp)))"),
        poly,
    ),
    Head(
        "token_weights",
        loss(
            "lp = log_softmax[V](logits)[V = next]\n"
            "minimize sum[T where next != -100](-weight * lp) / sum[T where next != -100](weight)",
            ONE + "  frozen weight: real[T] where weight > 0\n",
        ),
        weighted,
    ),
    Head(
        "entropy_bonus",
        loss(
            "lp = log_softmax[V](logits)\nminimize cross_entropy(logits, next) "
            "+ 0.1 * mean[T where next != -100 else 0](sum[V](exp(lp) * lp))"
        ),
        with_entropy,
    ),
    Head(
        "squentropy",
        loss(
            "minimize cross_entropy(logits, next) "
            "+ mean[T where next != -100 else 0](sum[V where V != next](logits^2) / (|V| - 1))"
        ),
        squentropy,
    ),
    Head("bias", loss("minimize cross_entropy(logits, next)", BIASED), with_bias),
    Head(
        "number_tokens",
        loss("minimize mean[T where next != -100 else 0]((sum[V](softmax[V](logits) * V) - next)^2)"),
        expected_number,
    ),
    Head("forward_kl", loss("minimize mean[T](sum[V](exp(p) * (p - q)))", TWO), distilled("forward")),
    Head("reverse_kl", loss("minimize mean[T](sum[V](exp(q) * (q - p)))", TWO), distilled("reverse")),
    Head(
        "js",
        loss(
            "m = log((exp(p) + exp(q)) / 2)\n"
            "minimize mean[T](sum[V](exp(p) * (p - m)) / 2 + sum[V](exp(q) * (q - m)) / 2)",
            TWO,
        ),
        distilled("middle"),
    ),
    Head("dpo", loss("minimize mean[B](-log_sigmoid(0.1 * margin))", POLICY + REFERENCE), dpo, True),
    Head("ipo", loss("minimize mean[B]((margin - 5)^2)", POLICY + REFERENCE), ipo, True),
    Head(
        "simpo",
        loss(
            "each = mean[T where next != -100 else 0](own)\n"
            "minimize mean[B](-log_sigmoid(2 * (each[S = 0] - each[S = 1]) - 1))",
            POLICY,
        ),
        simpo,
        True,
    ),
    Head(
        "orpo",
        loss(
            "each = mean[T where next != -100 else 0](own)\nodds = each - log(1 - exp(each))\n"
            "minimize -mean[B](each[S = 0]) - 0.1 * mean[B](log_sigmoid(odds[S = 0] - odds[S = 1]))",
            POLICY,
        ),
        orpo,
        True,
    ),
    Head(
        "grpo",
        loss(
            "ratio = exp(minimum(own - old, 20))\n"
            "minimize -mean[S, B, T where next != -100 else 0]"
            "(minimum(ratio * advantage, clamp(ratio, 0.8, 1.2) * advantage))",
            POLICY + "  frozen old: real[S, B, T]\n  frozen advantage: real[S, B]\n",
        ),
        grpo,
        True,
    ),
    Head(
        "kto",
        loss(
            "minimize mean[B](1 - sigmoid(0.1 * (gap[S = 0] - baseline))) "
            "+ mean[B](1 - sigmoid(0.1 * (baseline - gap[S = 1])))",
            POLICY + REFERENCE + "  frozen baseline: real[B]\n",
        ),
        kto,
        True,
    ),
]


def inputs(head: Head, dtype: torch.dtype, seed: int = 0) -> dict[str, Tensor]:
    """Tensors for a head; every third token is ignored."""
    random = torch.Generator().manual_seed(seed)

    def real(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64).to(dtype)

    lead = (2, 3, ROWS) if head.pairs else (ROWS,)
    next = torch.randint(0, CLASSES, lead, generator=random)
    next[..., ::3] = -100
    found: dict[str, Tensor] = {"hidden": real(*lead, DIM), "head": real(CLASSES, DIM)}
    if head.declared("bias"):
        found["bias"] = real(CLASSES)
    if head.declared("teacher_hidden"):
        return found | {"teacher_hidden": real(*lead, 3), "teacher_head": real(CLASSES, 3)}
    found["next"] = next
    if head.declared("ref_hidden"):
        found |= {"ref_hidden": real(*lead, DIM), "ref_head": real(CLASSES, DIM)}
    extra: Mapping[str, Callable[[], Tensor]] = {
        "weight": lambda: real(*lead).abs() + 0.1,
        "old": lambda: real(*lead) - 2,
        "advantage": lambda: real(*lead[:-1]),
        "baseline": lambda: real(lead[1]),
    }
    return found | {name: make() for name, make in extra.items() if head.declared(name)}
