"""The reference interpreter: the definition of the language, in plain numpy and mpmath.

It evaluates a checked program naively, one operation after another, each as its row in the op table says.
Everything else that computes a loss is compared with it.
"""

from lossdsl.reference.interpreter import Environment, evaluate
from lossdsl.reference.numbers import Value
from lossdsl.reference.results import Result, reference, reference_gradient
from lossdsl.reference.rounding import rounded_reference

__all__ = ["Environment", "Result", "Value", "evaluate", "reference", "reference_gradient", "rounded_reference"]
