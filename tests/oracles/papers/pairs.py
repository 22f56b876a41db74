"""Losses on embeddings: margins between classes, pairs in a batch, prototypes and centres."""

from __future__ import annotations

from ..oracle import Oracle
from .pairs_centres import CENTRES
from .pairs_clusters import CLUSTERS
from .pairs_contrast import CONTRAST
from .pairs_domains import DOMAINS
from .pairs_margins import MARGINS

ORACLES: list[Oracle] = [*MARGINS, *CONTRAST, *DOMAINS, *CENTRES, *CLUSTERS]
