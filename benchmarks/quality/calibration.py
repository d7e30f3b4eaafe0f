"""Can a model's probabilities be believed, and can they after a curve of two numbers is fitted on dev?

    python -m benchmarks.quality.calibration MODEL DEV.tsv TEST.tsv [--beam 1]

MODEL may be an ensemble, A,B,C. Prints the reliability table of the test outputs, and the expected calibration error before and
after their probabilities are replaced by those of the curve (Platt 1999) that fits the dev outputs best.
"""

import argparse
from dataclasses import asdict
from typing import Any

import jumok
from benchmarks.support.measure import emit
from jumok.measure import Fit, Measured, calibration
from jumok.measure.evaluating import Evaluation, trained_options


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("dev")
    parser.add_argument("test")
    parser.add_argument("--beam", type=int, default=1)
    o = parser.parse_args()
    model = jumok.load(o.model)
    dev, test = (
        jumok.evaluate(model, pairs, ["accuracy", "calibration"], beam=o.beam, warn=lambda _: None) for pairs in (o.dev, o.test)
    )
    fit = Fit(**dev.metrics["calibration"].detail["fit"])
    emit(
        "quality_calibration",
        model=o.model,
        beam=o.beam,
        accuracy_percent=round(test.metrics["accuracy"].value, 2),
        before=figures(test.metrics["calibration"]),
        fit_on_dev=asdict(fit),
        after=figures(corrected(model, test, fit)),
    )


def corrected(model: jumok.Translator, done: Evaluation, fit: Fit) -> Measured:
    """Calibration of the outputs with the probabilities of the curve."""
    each = [fit(t.log_probability) if t.tokens else None for t in done.outputs]
    return calibration(each, [t.text for t in done.outputs], done.references, trained_options(model))


def figures(measured: Measured) -> dict[str, Any]:
    bins = [{name: round(value, 4) for name, value in b.items()} for b in measured.detail["bins"]]
    return {"ece_percent": round(measured.value, 2), "brier": round(measured.detail["brier"], 4), "bins": bins}


if __name__ == "__main__":
    main()
