"""Losses of papers on language models, preferences, unlearning, rewards and distillation."""

from ..oracle import Oracle
from .language_distillation import DISTILLATION
from .language_preference import PREFERENCE
from .language_tokens import TOKENS
from .language_unlearning import UNLEARNING

ORACLES: list[Oracle] = [*PREFERENCE, *UNLEARNING, *TOKENS, *DISTILLATION]
