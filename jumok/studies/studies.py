"""The table of studies: to add one, write it in a new file in this folder and add it to STUDIES."""

from __future__ import annotations

from jumok.studies import bottleneck, exposure, faithful, gradients, links, scores
from jumok.studies.plan import Study

STUDIES: dict[str, Study] = {
    "bottleneck": bottleneck.STUDY,
    "gradients": gradients.STUDY,
    "exposure": exposure.STUDY,
    "scores": scores.STUDY,
    "faithful": faithful.STUDY,
    "links": links.STUDY,
}
