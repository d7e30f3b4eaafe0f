"""`jumok study`: options as the command line has them, findings as lines."""

from __future__ import annotations

import dataclasses
from typing import Any

from jumok.config import StudyConfig, TrainConfig, build
from jumok.studies.conduct import EVERYWHERE, study
from jumok.studies.studies import STUDIES


def defaults(name: str) -> TrainConfig | None:
    """Training options as the study has them where nothing is given; None where there is no such study."""
    return build(TrainConfig, {**EVERYWHERE, **STUDIES[name].defaults}, "study") if name in STUDIES else None


def run(name: str, pairs: str, asked: StudyConfig, training: TrainConfig) -> int:
    """Does the study and prints what it found. Exit status: 0, or 128 and the number of the signal that ended it early."""
    usual = defaults(name)
    assert usual is not None
    flat, before = _flat(training), _flat(usual)
    given = {k: v for k, v in flat.items() if v != before[k]}
    settings = {f.name: getattr(asked, f.name) for f in dataclasses.fields(asked)}
    studied = study(name, pairs, **settings, **given)
    if studied.findings:
        print("\n".join(f"- {finding}" for finding in studied.findings))
    print(f"report: {studied.folder / 'report.html'}")
    return 128 + studied.interrupted if studied.interrupted else 0


def _flat(run: TrainConfig) -> dict[str, Any]:
    return {f.name: getattr(part, f.name) for part in (run.text, run.model, run.learn) for f in dataclasses.fields(part)}
