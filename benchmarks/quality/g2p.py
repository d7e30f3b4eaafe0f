"""How well does the default recipe pronounce, in ten languages, at so many minutes each? (SIGMORPHON 2020 task 1)

    python -m benchmarks.quality.g2p DATA/sigmorphon2020-g2p OUT [--minutes 2] [--languages arm,bul,…] [--seeds 1]

Trains a model a language and seed with no option but the tokenizers, then measures the test words greedy and with beam 5.
Dev picks the model; test is looked at once, here. A language that is in OUT already is not trained again.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

from benchmarks.support.measure import emit, evaluated, history, trained

OPTIONS = ["--target-tokenizer", "space"]
LANGUAGES = "arm bul dut geo gre hin jpn lit rum vie"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=1.9)
    parser.add_argument("--languages", default=",".join(LANGUAGES.split()))
    parser.add_argument("--seeds", default="1")
    o = parser.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    rows = [one(o, language, int(seed)) for language in o.languages.split(",") for seed in o.seeds.split(",")]
    means = {
        k: round(statistics.mean(r[k] for r in rows), 2)
        for k in ("greedy_wer", "beam5_wer", "greedy_per", "beam5_per", "seconds")
    }
    emit("quality_g2p", minutes=o.minutes, rows=rows, mean=means, longest_seconds=max(r["seconds"] for r in rows))


def one(o: argparse.Namespace, language: str, seed: int) -> dict[str, object]:
    model = o.out / f"{language}-{seed}"
    kept = model.with_suffix(".json")
    if kept.exists():
        return json.loads(kept.read_text())
    pairs, dev, test = (o.data / f"{language}_{part}.tsv" for part in ("train", "dev", "test"))
    row: dict[str, object] = {"language": language, "seed": seed}
    row |= trained(pairs, dev, model, [*OPTIONS, "--minutes", str(o.minutes), "--seed", str(seed)])
    row |= words(model, test)
    kept.write_text(json.dumps(row))
    print(row, file=sys.stderr, flush=True)
    return row


def words(model: Path, test: Path) -> dict[str, float]:
    """Percent of dev words wrong, and of test words and their phones, greedy and with beam 5."""
    found = {"dev_wer": round(100 - max(e["accuracy"] for e in history(model)), 2)}
    for name, beam in (("greedy", "1"), ("beam5", "5")):
        metrics = evaluated(model, test, "--beam", beam, "--metrics", "accuracy", "token-error-rate")
        found[f"{name}_wer"] = round(metrics["accuracy"]["detail"]["wer"], 2)
        found[f"{name}_per"] = round(metrics["token-error-rate"]["value"], 2)
    return found


if __name__ == "__main__":
    main()
