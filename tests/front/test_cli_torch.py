"""`lossdsl compile` and `lossdsl verify`: what they print or write, and their exit codes."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lossdsl.cli import main, terminal

SQUARED = 'loss squared {\n  input x: real[B]\n  minimize mean[B](x^2)\n  law "never negative": squared(x) >= 0\n}\n'
FALSE_LAW = SQUARED.replace("squared(x) >= 0", "squared(x) >= 1000").replace("never negative", "far from 0")
BAD = "loss wrong { input x: real[B] minimize x^2 }\n"
SCALED = "loss scaled { input x: real[B] hyper weight: real = 2 where weight > 0 minimize mean[B](weight * x^2) }\n"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command line in a folder with specs; its exit code, output and asides."""
    monkeypatch.chdir(tmp_path)
    specs = {"squared": SQUARED, "false_law": FALSE_LAW, "bad": BAD, "scaled": SCALED, "two": SQUARED + SCALED}
    for name, text in specs.items():
        Path(f"{name}.loss").write_text(text, encoding="utf-8")
    Path("none.loss").write_text("def half(x) = x / 2\n", encoding="utf-8")

    def call(*words: str) -> tuple[int, str, str]:
        code = main(words)
        return code, *capfd.readouterr()

    return call


def test_compile_prints_a_file_that_computes_the_loss(run: Run, tmp_path: Path) -> None:
    code, out, err = run("compile", "squared.loss")
    assert (code, err) == (0, "")
    assert "lossdsl" not in "\n".join(line for line in out.splitlines() if line.startswith(("import", "from")))
    code, said, err = run("compile", "squared.loss", "-o", "squared.py")
    assert (code, said) == (0, "")
    assert "wrote squared.py" in err
    assert (tmp_path / "squared.py").read_text(encoding="utf-8") == out
    written = runpy.run_path("squared.py")
    made = next(v for v in written.values() if isinstance(v, type) and issubclass(v, torch.nn.Module))
    assert made()(torch.tensor([1.0, 3.0])).item() == 5.0


@pytest.mark.parametrize(("emit", "wanted"), [("latex", r"\frac"), ("graph", "real[B] in [0, infinity)")])
def test_compile_writes_other_forms(run: Run, emit: str, wanted: str) -> None:
    code, out, _ = run("compile", "squared.loss", "--emit", emit)
    assert code == 0
    assert wanted in out


def test_compile_takes_hyperparameters(run: Run) -> None:
    usual, tripled = (run("compile", "scaled.loss", *more) for more in ((), ("--set", "weight=3")))
    assert usual[0] == tripled[0] == 0
    assert usual[1] != tripled[1]


FAULTS = [
    ("bad.loss", 1, "E0212"),
    ("nowhere.loss", 2, "no file `nowhere.loss`"),
    ("none.loss", 2, "defines no loss"),
    ("scaled.loss --set weight=-1", 2, "weight"),
    ("scaled.loss --set weight=heavy", 2, "neither a number"),
    ("scaled.loss --set height=1", 2, "height"),
]


@pytest.mark.parametrize("command", ["compile", "verify"])
@pytest.mark.parametrize(("line", "code", "said"), FAULTS, ids=[line for line, _, _ in FAULTS])
def test_faults_of_the_spec_and_of_the_command(run: Run, command: str, line: str, code: int, said: str) -> None:
    found, out, err = run(command, *line.split())
    assert found == code
    assert said in (out if code == 1 else err)
    assert "Traceback" not in err


def test_compile_wants_one_loss_and_a_place_to_write(run: Run) -> None:
    code, _, err = run("compile", "two.loss")
    assert code == 2
    assert "say which, as `two.loss:squared`" in err
    assert run("compile", "two.loss:scaled")[0] == 0
    assert run("compile")[0] == 2
    assert run("compile", "squared.loss", "-o", "no/such/folder.py")[0] == 2


def test_verify_says_what_held(run: Run) -> None:
    code, out, err = run("verify", "squared.loss", "--samples", "1")
    assert code == 0
    assert 'law "never negative": held' in out
    assert "BROKEN" not in out
    assert "none is broken" in err


def test_verify_says_what_is_broken(run: Run) -> None:
    code, out, _ = run("verify", "false_law.loss", "--samples", "1")
    assert code == 1
    assert any("BROKEN" in line and "far from 0" in line for line in out.splitlines())


def test_verify_speaks_json(run: Run) -> None:
    code, out, err = run("verify", "false_law.loss", "--samples", "1", "--json")
    found = json.loads(out)
    assert (code, err) == (1, "")
    assert found["ok"] is False
    (loss,) = found["losses"]
    outcomes = {check["name"]: check["outcome"] for check in loss["checks"]}
    assert outcomes['law "far from 0"'] == "broken"
    assert set(outcomes.values()) == {"held", "broken"}


def test_verify_takes_a_text_and_counts_samples(run: Run) -> None:
    assert run("verify", "-e", "mean[B](x^2)", "--samples", "1")[0] == 0
    assert run("verify", "squared.loss", "--samples", "0")[0] == 2
    assert run("verify")[0] == 2


@pytest.mark.parametrize("command", ["compile", "verify"])
def test_help_has_examples_that_are_commands(run: Run, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    examples = [line.split() for line in out.partition("examples:")[2].splitlines() if line.strip()]
    assert len(examples) >= 4
    assert all(words[:2] == ["lossdsl", command] for words in examples)


def test_a_terminal_gets_colours_and_a_pipe_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = run("verify", "false_law.loss", "--samples", "1")[1]
    assert "\x1b[" not in plain
    monkeypatch.setattr(terminal, "coloured", lambda stream=None: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    painted = run("verify", "false_law.loss", "--samples", "1")[1]
    assert "\x1b[" in painted
    assert "BROKEN" in painted


PAIRS = """loss spread {
  input z: real[B, D]
  axis P like B
  minimize mean[B, P](exp(-sqeuclid[D](z, z[B -> P])))
}
"""


def test_plan_tells_how_a_loss_would_run(run: Run) -> None:
    code, out, err = run("plan", "-e", PAIRS, "--sizes", "B=20000,D=64")
    assert (code, err) == (0, "")
    assert "in blocks" in out
    assert "[B, P]" in out
    code, out, _ = run("plan", "squared.loss", "--sizes", "B=20000")
    assert code == 0
    assert "in one piece" in out
    assert "no value is larger than all inputs" in out


def test_plan_answers_for_machines(run: Run) -> None:
    code, out, _ = run("plan", "-e", PAIRS, "--sizes", "B=20000", "--sizes", "D=64", "--budget", "50MB", "--json")
    (found,) = json.loads(out)["losses"]
    assert code == 0
    assert (found["name"], found["mode"]) == ("spread", "blocks")
    assert found["peak_bytes"] <= 50_000_000 < found["dense_bytes"]
    assert 0 < found["block"]["B"] < 20000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-e", PAIRS), "give its size, as in `--sizes B=4096`"),
        (("-e", PAIRS, "--sizes", "B:3"), "`--sizes B:3` is no size"),
        (("-e", PAIRS, "--sizes", "B=3,D=4", "--budget", "much"), "is no number of bytes"),
        (("-e", PAIRS, "--sizes", "B=3,D=4,Q=9"), "no axis of the loss is called `Q`; there are `B`, `D`"),
    ],
)
def test_plan_says_what_it_lacks(run: Run, words: tuple[str, ...], said: str) -> None:
    code, _, err = run("plan", *words)
    assert code == 2
    assert said in err


def test_plan_fails_where_a_call_would_be_refused(run: Run) -> None:
    code, out, _ = run("plan", "-e", PAIRS, "--sizes", "B=20000,D=64", "--budget", "1KB")
    assert code == 1
    assert "refused" in out
    assert "runs" not in out


def test_plan_names_large_sizes_in_words_that_people_use(run: Run) -> None:
    code, out, _ = run("plan", "-e", PAIRS, "--sizes", "B=100000000,D=64")
    assert code == 0
    assert " PB in one piece" in out  # 1e16 pairs of at least four bytes


def test_plan_of_a_faulty_spec(run: Run) -> None:
    code, out, _ = run("plan", "bad.loss", "--sizes", "B=3")
    assert code == 1
    assert "E0212" in out
