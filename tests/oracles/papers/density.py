"""Losses of densities, of diffusion models, of uncertainty, and of fits to them, from the papers' formulas."""

from ..oracle import Oracle
from .density_fits import FITS
from .density_flow import FLOW
from .density_labels import LABELS
from .density_samples import SAMPLES

ORACLES: list[Oracle] = [*FITS, *LABELS, *SAMPLES, *FLOW]
