"""Losses over all pairs that the library does not have: in blocks they are what they are in one piece."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import lossdsl
from lossdsl.backend.blocks import Blocks
from lossdsl.backend.streamed import Streamed
from tests.streaming.page import key

PAIRS = {
    "chamfer": (
        "input x: real[N, D]\ninput y: real[M, D]\nd = sqeuclid[D](x, y)\n"
        "minimize mean[N](min[M](d)) + mean[M](min[N](d))",
        3,  # the nearest over the columns, how many share it, and its gradient
    ),
    "mmd": (
        "input x: real[N, D]\ninput y: real[M, D]\naxis P like N\naxis Q like M\n"
        "axis K in 1..3\n"
        "xx = mean[N, P, K](exp(-K * sqeuclid[D](x, x[N -> P])))\n"
        "yy = mean[M, Q, K](exp(-K * sqeuclid[D](y, y[M -> Q])))\n"
        "xy = mean[N, M, K](exp(-K * sqeuclid[D](x, y)))\n"
        "minimize xx + yy - 2 * xy",
        1,
    ),
    "queue": (
        "input q: real[N, D]\ninput k: real[N, D]\nfrozen queue: real[M, D]\nlearn log_t: real = 0\n"
        "own = dot[D](normalize[D](q), normalize[D](k)) * exp(log_t)\n"
        "others = dot[D](normalize[D](q), queue) * exp(log_t)\n"
        "minimize mean[N](logaddexp(own, logsumexp[M](others)) - own)",
        1,
    ),
    "multi_similarity": (
        "input x: real[N, D]\nfrozen label: int[N]\naxis P like N\n"
        "s = cosine[D](x, x[N -> P])\n"
        "pos = label == label[N -> P] and N != P\nneg = label != label[N -> P]\n"
        "pull = log(1 + sum[P where pos](exp(-2 * (s - 0.5)))) / 2\n"
        "push = log(1 + sum[P where neg](exp(10 * (s - 0.5)))) / 10\n"
        "minimize mean[N](pull + push)",
        1,
    ),
    "semi_hard": (
        "input x: real[N, D]\nfrozen label: int[N]\naxis P like N\naxis Q like N\n"
        "far = max[P where label == label[N -> P] and N != P else 0](euclid[D](x, x[N -> P]))\n"
        "d = euclid[D](x, x[N -> Q])\nhard = label != label[N -> Q] and d > far\n"
        "near = min[Q where hard else 0](d)\nvalid = any[Q](hard)\n"
        "minimize mean[N where valid else 0](relu(far - near + 0.5))",
        None,
    ),
    "alignment and uniformity": (
        "input x: real[N, D]\ninput k: real[N, D]\naxis P like N\n"
        "minimize mean[N](sqeuclid[D](x, k)) + log(mean[N, P where N != P else 0](exp(-2 * sqeuclid[D](x, x[N -> P]))) + 1e-9)",
        None,
    ),
    "barlow": (
        "input x: real[N, D]\ninput k: real[N, D]\naxis E like D\n"
        "c = sum[N](x * (k[D -> E])) / |N|\n"
        "minimize sum[D, E](if D == E then (1 - c)^2 else 0.01 * c^2)",
        1,
    ),
    "block mask": (
        "input x: real[N, D]\naxis P like N\nhyper width: int = 2\n"
        "s = dot[D](x, x[N -> P])\n"
        "minimize mean[N](logsumexp[P where P <= N and floor(P / width) == floor(N / width) else 0](s) - s[P = N])",
        1,
    ),
    "both partitions": (
        "input x: real[N, D]\ninput k: real[N, D]\nlearn scale: real = 1\nlearn bias: real = 0\naxis P like N\n"
        "s = exp(scale) * dot[D](x, k[N -> P]) + bias\n"
        "minimize mean[N](logsumexp[P](s) - s[P = N]) / 2 + mean[P](logsumexp[N](s) - s[N = P]) / 2",
        2,
    ),
    "hardest columns": (
        "input x: real[N, D]\ninput y: real[M, D]\n"
        "s = dot[D](x, y)\np = softmax[N](s)\nminimize -mean[M](sum[N](p * log(p + 1e-6))) + mean[N](max[M](s))",
        None,
    ),
}
LENGTHS = (1, 2, 3, 5, 100)


def inputs(text: str) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    shapes = {"x": (7, 3), "y": (5, 3), "q": (7, 3), "k": (7, 3), "queue": (5, 3)}
    found = {
        n: torch.randn(s, generator=random, dtype=torch.float64) for n, s in shapes.items() if f" {n}: real[" in text
    }
    if "label" in text:
        found["label"] = torch.tensor([0, 1, 0, 2, 1, 0, 3])
    return found


@pytest.mark.parametrize("name", PAIRS)
def test_blocks_of_any_length_give_the_same(name: str) -> None:
    body, sweeps = PAIRS[name]
    loss = lossdsl.compile(f"loss pairs {{\n{body}\n}}", backend="eager").double()
    blocks = Blocks(loss.compiled)
    made, ready = blocks.made(key(loss)), blocks.ready(key(loss))
    assert isinstance(made, Streamed), made
    if sweeps is not None:
        assert made.schedule.sweeps == sweeps
    given = inputs(body) | dict(loss.held)
    arguments = [given[n] for n in ready.function.arguments]
    with torch.no_grad():
        whole = ready.run(*arguments)
        for length in LENGTHS:
            parts = made.run(arguments, dict.fromkeys(made.schedule.axes, length))
            for output, one, other in zip(ready.function.outputs, whole, parts, strict=True):
                torch.testing.assert_close(
                    other,
                    one,
                    rtol=1e-9,
                    atol=1e-11,
                    msg=lambda m, what=output, n=length: f"{what}, blocks of {n}: {m}",
                )
