"""A budget is kept: what a step takes beside inputs and gradients, measured by the resident size of a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import lossdsl
from tests.streaming.heads import loss

PROBE = """
import ctypes, gc, json, sys, threading
import torch, lossdsl
torch.set_num_threads(1)
text, shapes, budget, backend = json.loads(sys.argv[1])
torch.manual_seed(0)
made = lossdsl.compile(text, memory_budget=budget, backend=backend)
kinds = made.inputs
tensors = []
for name, shape in shapes.items():
    if kinds[name].startswith("real"):
        tensors.append((torch.randn(shape) * 0.1).requires_grad_())
    else:
        tensors.append(torch.randint(0, shapes["head"][0] if "head" in shapes else 50, shape))
learners = [t for t in tensors if t.requires_grad]
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096
def step():
    made(*tensors).backward()
    for t in learners: t.grad = None
step()
gc.collect(); ctypes.CDLL(None).malloc_trim(0)
base, most, over = resident(), [0], threading.Event()
def watch():
    while not over.wait(0.0005): most[0] = max(most[0], resident())
watcher = threading.Thread(target=watch); watcher.start()
step(); over.set(); watcher.join()
gradients = sum(t.numel() * 4 for t in learners)
print(json.dumps({"beside": most[0] - base - gradients, "plan": made.plan(*tensors).as_dict()}))
"""
HEAD = loss("minimize cross_entropy(logits, next)")
PAIRS = """
loss contrast {
  input z: real[B, D]
  frozen label: int[B]
  axis P like B
  u = normalize[D](z)
  s = dot[D](u, u[B -> P]) / 0.1
  pos = label == label[B -> P] and P != B
  logp = s - logsumexp[P where P != B else 0](s)
  minimize mean[B where any[P](pos) else 0](-mean[P where pos else 0](logp))
}
"""
PROMPT = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000", "MALLOC_TRIM_THRESHOLD_": "0"}
"""So that the C library gives memory back when it is freed, and the resident size is what is held."""
NOISE = 2_000_000
"""What the interpreter and torch's own products may keep."""


def probed(text: str, shapes: dict[str, list[int]], budget: int, backend: str) -> dict[str, object]:
    given = json.dumps([text, shapes, budget, backend])
    run = subprocess.run([sys.executable, "-c", PROBE, given], capture_output=True, text=True, check=False, env=PROMPT)
    assert run.returncode == 0, run.stderr
    found: dict[str, object] = json.loads(run.stdout)
    return found


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the resident size is read from /proc")
@pytest.mark.parametrize(
    "backend", ["eager", pytest.param("inductor", marks=pytest.mark.long)], ids=["eager", "inductor"]
)
@pytest.mark.parametrize(
    ("text", "shapes", "budget"),
    [
        (HEAD, {"hidden": [1024, 64], "head": [16000, 64], "next": [1024]}, 40_000_000),
        (HEAD, {"hidden": [1024, 64], "head": [16000, 64], "next": [1024]}, 12_000_000),
        (PAIRS, {"z": [4096, 32], "label": [4096]}, 40_000_000),
    ],
    ids=["head, 40 MB", "head, 12 MB", "pairs, 40 MB"],
)
def test_a_step_stays_within_its_budget(text: str, shapes: dict[str, list[int]], budget: int, backend: str) -> None:
    found = probed(text, shapes, budget, backend)
    plan = found["plan"]
    assert isinstance(plan, dict)
    assert plan["mode"] == "blocks"
    assert plan["peak_bytes"] <= budget
    assert plan["dense_bytes"] > 3 * budget
    beside = found["beside"]
    assert isinstance(beside, int)
    assert beside <= budget + NOISE, f"{beside:,} bytes, {plan}"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_stays_within_its_budget_on_a_gpu(dtype: torch.dtype) -> None:
    budget = 200_000_000
    made = lossdsl.compile(HEAD, memory_budget=budget)
    hidden = torch.randn(4096, 512, device="cuda", dtype=dtype, requires_grad=True)
    head = (torch.randn(64000, 512, device="cuda", dtype=dtype) * 0.05).requires_grad_()
    next = torch.randint(0, 64000, (4096,), device="cuda")
    for _ in range(2):
        hidden.grad = head.grad = None
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        base = torch.cuda.memory_allocated()
        made(hidden, head, next).backward()
    # The head's gradient is added up in float32 and then cast to its dtype.
    gradients = (hidden.numel() + head.numel()) * (4 + hidden.element_size())
    assert torch.cuda.max_memory_allocated() - base <= budget + gradients
