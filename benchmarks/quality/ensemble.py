"""What do several models together win over one of them, and what does it cost?

    python -m benchmarks.quality.ensemble TEST.tsv MODEL_1 MODEL_2 MODEL_3 [--beam 5] [--metrics accuracy token-error-rate]

The models are of one training each, with the same data and options and a seed of their own (`jumok train … --seed 1`, 2, 3; all with
the same --dev). Measures each of them, their mean, the ensemble, the mean of their weights (which is seldom any good), and the
first one's n-best list, rescored by the second; and times first model and ensemble in turns.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import jumok
from benchmarks.support.measure import alternate, emit, ratio
from jumok.measure import gold_text, measure
from jumok.measure.evaluating import trained_options
from jumok.text import read_pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("test")
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--metrics", nargs="+", default=["accuracy", "token-error-rate"])
    parser.add_argument("--timed", type=int, default=200, help="lines that are timed")
    parser.add_argument("--rounds", type=int, default=3)
    o = parser.parse_args()
    singles = [measured(jumok.load(path), o) for path in o.models]
    together = measured(jumok.load(o.models), o)
    with tempfile.TemporaryDirectory() as place:
        averaged = measured(jumok.load(jumok.average(o.models, out=Path(place) / "averaged")), o)
    mean = {name: round(statistics.mean(row[name] for row in singles), 2) for name in o.metrics}
    emit(
        "quality_ensemble",
        test=o.test,
        models=[str(path) for path in o.models],
        beam=o.beam,
        singles=singles,
        mean_of_singles=mean,
        ensemble=together,
        ensemble_minus_mean={name: round(together[name] - mean[name], 2) for name in o.metrics},
        weights_averaged=averaged,
        first_rescored_by_second=rescored(o),
        time_of_ensemble=timed(o),
    )


def measured(model: jumok.Translator, o: argparse.Namespace) -> dict[str, float]:
    found = jumok.evaluate(model, o.test, [*o.metrics, "calibration"], beam=o.beam, warn=lambda _: None).metrics
    return {name: round(m.value, 2) for name, m in found.items()}


def rescored(o: argparse.Namespace) -> dict[str, Any]:
    """For each weight the metrics of the first model's n-best list, ranked again with the second model."""
    first, second = (jumok.load(path) for path in o.models[:2])
    gold = gold_text(read_pairs(o.test, first.config.text, warn=lambda _: None), first.codec.written, lambda _: None)
    sources, features = [source for source, _ in gold.sources], [given for _, given in gold.sources]
    lists = first.translate(sources, features=features, beam=o.beam, nbest=o.beam)
    found = {}
    for weight in (0.0, 0.25, 0.5, 0.75, 1.0):
        texts = [t.text for t in jumok.rescore(second, lists, weight=weight)]
        values = {name: measure(name, texts, gold.references, trained_options(first)).value for name in o.metrics}
        found[str(weight)] = {name: round(value, 2) for name, value in values.items()}
    return found


def timed(o: argparse.Namespace) -> dict[str, float]:
    """How many times longer the ensemble takes than the first model, greedy, in batches of 64."""
    models = {"one": jumok.load(o.models[0]), "ensemble": jumok.load(o.models)}
    pairs = read_pairs(o.test, models["one"].config.text, warn=lambda _: None)[: o.timed]
    sources, features = [p.source for p in pairs], [p.features for p in pairs]
    work = {name: (lambda model=model: model.translate(sources, features=features)) for name, model in models.items()}
    return ratio(alternate(work, o.rounds), "ensemble", "one")


if __name__ == "__main__":
    main()
