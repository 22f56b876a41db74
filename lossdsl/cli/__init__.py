"""The command line: `lossdsl COMMAND ...`.

A command is a module of `lossdsl.cli.commands`, named for it, with `add_parser(subparsers)` and
`run(arguments)`, which returns the exit code; a line in `COMMANDS` makes it known. Only the module of the
command that is asked for is imported, so a module may import what it needs, but anything slow (torch, numpy)
belongs inside `run`.

Exit codes: 0 all is well, 1 the spec is at fault, 2 the command is.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from lossdsl.cli.misuse import Misuse

COMMANDS: dict[str, str] = {
    "check": "find mistakes in specs",
    "fmt": "format specs",
    "list": "list the losses and functions of the standard library",
    "show": "print a loss: its inputs, ranges, terms, laws and text",
    "compile": "write a loss as a torch file that needs no lossdsl",
    "verify": "try a loss against the meaning of its text, and its laws",
    "plan": "tell how a loss of given sizes would run, and in how much memory",
    "explain": "tell what a code such as E0212 means",
    "completion": "print a completion script for your shell",
}
"""The commands and what they do, in the order of `lossdsl --help`."""

_EXAMPLES = """\
examples:
  lossdsl check mine.loss             what is wrong with a file
  lossdsl check -e 'mean[B](x^2)'     ... or with a text
  lossdsl list triplet                what the standard library has
  lossdsl show focal                  one loss of it
  lossdsl compile focal -o focal.py   the loss as plain torch
  lossdsl verify mine.loss            whether it computes what its text says

exit codes: 0 all is well, 1 the spec is at fault, 2 the command is
"""
_INTERRUPTED, _PIPE_CLOSED = 130, 141  # 128 and the number of the signal, as shells say it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(given)
        sys.stdout.flush()
        return code
    except Misuse as misuse:
        print(f"lossdsl: {misuse}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader went away. Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED


def _run(given: list[str]) -> int:
    try:
        parsed = parser(_chosen(given)).parse_args(given)
    except SystemExit as ended:  # argparse has printed help or its complaint
        return ended.code if isinstance(ended.code, int) else 2
    module = import_module(f"lossdsl.cli.commands.{parsed.command}")
    code: int = module.run(parsed)
    return code


def _chosen(given: list[str]) -> list[str]:
    """The commands whose parsers are needed: the one that is named first, or all."""
    words = [word for word in given if not word.startswith("-")]
    return words[:1] if words and words[0] in COMMANDS and given[0] == words[0] else list(COMMANDS)


def parser(commands: Sequence[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """The parser of command lines that name one of `commands`."""
    top = argparse.ArgumentParser(
        prog="lossdsl",
        description="Check, format and look at loss functions written in lossdsl.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    subparsers = top.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for name in commands:
        import_module(f"lossdsl.cli.commands.{name}").add_parser(subparsers)
    return top


class _Version(argparse.Action):
    """Looks the version up only when it is asked for: reading metadata takes a while."""

    def __call__(self, top: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"lossdsl {version('lossdsl')}")
        top.exit()
