"""Losses with large intermediate values: time and memory of a step, value and gradients, side by side.

    python benchmarks/streaming.py --quick
    python benchmarks/streaming.py --cases head nce --write

Each contender lives in a process of its own, and they take turns. Memory is what a step takes at most beside the inputs
and what the process holds anyway: the gradients are in it. One thread and the clock of the process, unless `--wall`.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median

import torch
from results import conditions, markdown, seconds, show, write
from streamed_work import CASES, Case

COLUMNS = ("contender", "first call", "step", "memory", "ours / it, time", "ours / it, memory", "products")
_PAGE = 4096
_PROMPT = {"MALLOC_MMAP_THRESHOLD_": "1000000", "MALLOC_TRIM_THRESHOLD_": "0"}
"""So that memory that is freed is given back at once, and the resident size is what is held."""


def quick(case: Case) -> dict[str, int]:
    """Sizes with which a look takes seconds."""
    return {n: s if n == "D" else max(min(s, 64), s // 8) for n, s in case.sizes.items()}


# In a contender's process


def resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE


def child(case: Case, contender: str, sizes: dict[str, int], wall: bool) -> None:
    """Answers each line on stdin with the time and memory of one step."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what others print is no answer
    torch.manual_seed(0)
    tensors = case.inputs(sizes)
    learners = [t for t in tensors if t.requires_grad]
    clock = time.perf_counter if wall else time.process_time
    step = case.contenders[contender](tensors)

    def once() -> float:
        value = step()
        value.backward()
        return value.item()

    started = time.perf_counter()
    value = once()
    norm = sum(t.grad.double().square().sum().item() for t in learners if t.grad is not None) ** 0.5
    print(json.dumps({"first": time.perf_counter() - started, "value": value, "norm": norm}), file=answers, flush=True)
    for _ in sys.stdin:
        for tensor in learners:
            tensor.grad = None
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        base, most, over = resident(), [0], threading.Event()

        def watch(most: list[int] = most, over: threading.Event = over) -> None:
            while not over.wait(0.002):
                most[0] = max(most[0], resident())

        watcher = threading.Thread(target=watch)
        watcher.start()
        start = clock()
        once()
        taken = clock() - start
        most[0] = max(most[0], resident())
        over.set()
        watcher.join()
        print(json.dumps({"seconds": taken, "memory": most[0] - base}), file=answers, flush=True)


# In the process that asks


class Contender:
    def __init__(self, case: Case, name: str, arguments: argparse.Namespace) -> None:
        words = [sys.executable, __file__, "--child", case.name, name]
        words += [f"--{flag}" for flag in ("quick", "wall") if getattr(arguments, flag)]
        self.name = name
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **_PROMPT}
        )
        self.first = self._answer()
        self.steps: list[dict[str, float]] = []

    def _answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found: dict[str, float] = json.loads(line) if line else {}
        return found

    def step(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        self.steps.append(self._answer())

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    @property
    def works(self) -> bool:
        return bool(self.first)


def compared(case: Case, sizes: dict[str, int], arguments: argparse.Namespace) -> list[list[str]]:
    contenders = [Contender(case, name, arguments) for name in case.contenders]
    able = [c for c in contenders if c.works]
    for number in range(arguments.rounds):
        for contender in able[number % len(able) :] + able[: number % len(able)]:
            contender.step()
    for contender in able:
        contender.end()
    (mine,) = (c for c in able if c.name == "ours")
    rows = []
    for contender in contenders:
        if not contender.works:
            rows.append([contender.name, "-", "not there", "-", "-", "-", "-"])
            continue
        for what in ("value", "norm"):
            if abs(contender.first[what] - mine.first[what]) > 1e-3 * abs(mine.first[what]) + 1e-7:
                raise SystemExit(f"{case.name}: {contender.name} has another {what} than ours")
        pairs = list(zip(mine.steps, contender.steps, strict=True))
        taken = median(s["seconds"] for s in contender.steps)
        rows.append(
            [
                contender.name,
                seconds(contender.first["first"]),
                seconds(taken),
                f"{median(s['memory'] for s in contender.steps) / 1e6:.0f} MB",
                f"{median(a['seconds'] / b['seconds'] for a, b in pairs):.2f}",
                f"{median(a['memory'] / max(b['memory'], 1) for a, b in pairs):.2f}",
                f"{case.floor(sizes) / taken / 1e9:.0f} GFLOP/s",
            ]
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="*", default=[""], help="words in the names of the cases")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="an eighth of the sizes")
    parser.add_argument("--wall", action="store_true", help="all threads and the clock on the wall")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.wall:
        torch.set_num_threads(1)
    if arguments.child:
        case = next(c for c in CASES if c.name == arguments.child[0])
        child(case, arguments.child[1], quick(case) if arguments.quick else case.sizes, arguments.wall)
        return
    for case in CASES:
        if any(word in case.name for word in arguments.cases):
            sizes = quick(case) if arguments.quick else case.sizes
            title = f"{case.name}: {', '.join(f'{n} = {s:,}' for n, s in sizes.items())}"
            print(title, file=sys.stderr)
            rows = compared(case, sizes, arguments)
            show(title, COLUMNS, rows)
            if arguments.write:
                write("streaming", INTRODUCTION)
                write(f"streaming {case.name}", f"### {title}\n\n{conditions()}.\n\n{markdown(COLUMNS, rows)}")


INTRODUCTION = (
    "## Losses in blocks\n\n"
    "A step, value and gradients, of losses with values larger than their inputs. Memory is the most that a step takes beside "
    "the inputs, the gradients included. The operations per second count the products that cannot be saved with gradients in "
    "forward: 6 N V D over a head, 8 where rows and columns are coupled, whatever a contender really computes."
)


if __name__ == "__main__":
    main()
