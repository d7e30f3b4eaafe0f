"""How well does the default recipe pronounce, in ten languages, at so many minutes each? (SIGMORPHON 2020 task 1)

    quality_g2p.py DATA/sigmorphon2020-g2p OUT [--minutes 2] [--languages arm,bul,…] [--seeds 1] [--resume]

Trains a model a language and seed with no option but the tokenizers, then measures the test words greedy and with beam 5.
Dev picks the model; test is looked at once, here. A language that is in OUT already is not trained again.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from measure import emit

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
    jumok = [sys.executable, "-m", "jumok"]
    pairs, dev, test = (str(o.data / f"{language}_{part}.tsv") for part in ("train", "dev", "test"))
    options = ["--target-tokenizer", "space", "--minutes", str(o.minutes), "--seed", str(seed), "--overwrite"]
    start = time.perf_counter()
    subprocess.run([*jumok, "train", pairs, "--dev", dev, "--out", str(model), *options], check=True)
    row: dict[str, object] = {"language": language, "seed": seed, "seconds": round(time.perf_counter() - start, 1)}
    history = json.loads((model / "history.json").read_text())
    row |= {"steps": history[-1]["step"], "dev_wer": round(100 - max(e["accuracy"] for e in history), 2)}
    for name, beam in (("greedy", 1), ("beam5", 5)):
        options = ["--beam", str(beam), "--metrics", "accuracy", "token-error-rate", "--json"]
        found = subprocess.run([*jumok, "evaluate", str(model), test, *options], check=True, capture_output=True, text=True)
        metrics = json.loads(found.stdout)["metrics"]
        row[f"{name}_wer"] = round(metrics["accuracy"]["detail"]["wer"], 2)
        row[f"{name}_per"] = round(metrics["token-error-rate"]["value"], 2)
    kept.write_text(json.dumps(row))
    print(row, file=sys.stderr, flush=True)
    return row


if __name__ == "__main__":
    main()
