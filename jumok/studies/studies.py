"""The table of studies: to add one, write it in a file beside this one and give it a line in STUDIES."""

from __future__ import annotations

from jumok.studies import bottleneck, exposure, faithful, gradients, scores
from jumok.studies.plan import Study

STUDIES: dict[str, Study] = {
    "bottleneck": bottleneck.STUDY,
    "gradients": gradients.STUDY,
    "exposure": exposure.STUDY,
    "scores": scores.STUDY,
    "faithful": faithful.STUDY,
}
