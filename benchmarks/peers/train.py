"""How many target tokens a second does Jumok train, beside OpenNMT-py, Joey NMT, the tutorial's loop and yoyodyne?

    python -m benchmarks.peers.train PEERS DATA/multi30k/raw DATA/sigmorphon2020-g2p WORK [--opennmt VENV/bin] [--joeynmt VENV/bin] [--yoyodyne VENV/bin]

PEERS is the folder of the peers' scripts; its README says how each VENV is made. A peer whose VENV is not given is left out. The
tutorial's loop runs in the environment that runs this script (torch, tokenizers).

All run on one pinned core with one thread, in turns, once a round, each a process of its own; ratios are taken inside a round.
All count the same: target tokens of the data and the end token of each sentence, no padding, over the seconds of whole training
steps after a warm-up. Jumok's rate is what `jumok train` writes into history.json; its probe and rehearsal are the warm-up.
"""

import argparse
import gzip
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.support.measure import emit
from jumok.runtime.folder import read_folder

ROOT = Path(__file__).resolve().parents[2]
SPLITS = ("train", "val", "test_2016_flickr")
WANTED = {  # (ours, peer): the ratio of target tokens a second to reach
    ("jumok float32", "opennmt"): 2.0,
    ("jumok bfloat16", "opennmt"): 3.3,
    ("jumok float32", "joeynmt"): 5.0,
    ("jumok bfloat16", "joeynmt"): 8.0,
    ("jumok float32", "tutorial"): 13.0,
    ("jumok bfloat16", "tutorial"): 22.0,
    ("jumok g2p float32", "yoyodyne float32"): 8.0,
    ("jumok g2p bfloat16", "yoyodyne bfloat16"): 8.0,
    ("jumok g2p float32, as large", "yoyodyne float32"): None,
}
PACKAGE = {"opennmt": "OpenNMT-py", "joeynmt": "joeynmt", "yoyodyne": "yoyodyne"}
# Encoder 2x256, decoder 512, Luong's general score, readout 512, no tables shared: OpenNMT-py's model
TRANSLATION = "--embedding 256 --hidden 512 --readout-size 512 --attention general --batch-size 64 --dropout 0.2 --tie none"
TRANSLATION += " --joint-vocabulary True --source-tokenizer space --target-tokenizer space"
# yoyodyne's score is concat; its encoder has 512 each way, its decoder 512, which together are as many numbers as hidden 776
LETTERS = "--embedding 128 --attention concat --batch-size 32 --dropout 0.2 --target-tokenizer space"
SMALLER, AS_LARGE = "--hidden 512 --readout-size 512", "--hidden 776 --readout-size 776"
LETTERS_SIZES = {"float32": {"": SMALLER, ", as large": AS_LARGE}, "bfloat16": {"": SMALLER}}


@dataclass(frozen=True)
class Side:
    """One side of the comparison: how it is run, and how its figures are read once it has run."""

    name: str
    command: list[str]
    figures: Callable[["Ran"], dict[str, Any]]

    @property
    def log(self) -> str:
        """Name of the file for what it says."""
        return self.name.replace(" ", "-").replace(",", "") + ".log"


@dataclass(frozen=True)
class Ran:
    """A process that has ended: what it printed, the peak memory in MiB of it or a child of its, their CPU time by wall time."""

    output: str
    peak_mib: float
    cpu_share: float


class Failed(Exception):
    """A side ended without figures; the message is the end of what it said."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("peers", "data", "g2p", "work"):
        parser.add_argument(name, type=Path)
    for name in PACKAGE:
        parser.add_argument(f"--{name}", type=Path, metavar="VENV/bin")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--language", default="gre")
    parser.add_argument("--steps", type=int, default=60, help="of Jumok on Multi30k")
    parser.add_argument("--g2p-steps", type=int, default=113, help="of Jumok beside yoyodyne (113 = once through the data)")
    parser.add_argument("--opennmt-options", default="--input-feed 0 --steps 30 --report-every 3")
    parser.add_argument("--joeynmt-options", default="--no-input-feeding --steps 20 --log-every 4")
    parser.add_argument("--tutorial-options", default="--batch 64 --steps 7 --warm 2")
    parser.add_argument("--yoyodyne-options", default="--max-steps 32")
    o = parser.parse_args()
    for name in ("peers", "data", "g2p", "work"):
        setattr(o, name, getattr(o, name).resolve())
    os.sched_setaffinity(0, {o.core})  # children inherit it
    start, left_out = time.perf_counter(), {}
    peer_versions = {}
    for name, package in PACKAGE.items():
        try:
            peer_versions[name] = versions_there(getattr(o, name), package)
        except Failed as e:
            left_out[name] = str(e)
            setattr(o, name, None)
    rounds = in_turns(sides(o, prepared(o)), o.rounds, o.work, left_out)
    emit(
        "peers_train",
        core=o.core,
        counted="target tokens and </s>, padding left out, a second of whole training steps after a warm-up",
        sides={name: summary(rows) for name, rows in rounds.items()},
        ratios=ratios(rounds),
        left_out=left_out,
        peer_versions=peer_versions,
        minutes=round((time.perf_counter() - start) / 60, 1),
    )


def versions_there(folder: Path | None, package: str) -> dict[str, str]:
    """Versions of the peer and of torch in its environment."""
    if folder is None:
        raise Failed("its VENV/bin is not given")
    code = "import json, sys; from importlib.metadata import version as v; print(json.dumps({n: v(n) for n in sys.argv[1:]}))"
    try:
        found = subprocess.run([folder / "python", "-c", code, package, "torch"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as e:
        raise Failed(f"{folder}/python does not tell the versions of {package} and torch: {e}") from None
    return json.loads(found.stdout)


def prepared(o: argparse.Namespace) -> Path:
    """The folder of the files all peers share (SPLIT.bpe.LANG), made by the peers' own script; and short dev files for Jumok."""
    raw, done = o.work / "raw", o.work / "m30k"
    if not (done / "vocab.txt").exists():
        raw.mkdir(parents=True, exist_ok=True)
        for split in SPLITS:
            table = next(p for end in ("", ".gz") if (p := o.data / f"{split}.en-de.tsv{end}").exists())
            with (gzip.open if table.suffix == ".gz" else open)(table, "rt", encoding="utf-8", newline="\n") as lines:
                columns = zip(*(line.rstrip("\n").split("\t")[:2] for line in lines), strict=True)
            for language, column in zip(("en", "de"), columns, strict=True):
                (raw / f"{split}.raw.{language}").write_text("".join(x + "\n" for x in column), encoding="utf-8")
        run([sys.executable, str(o.peers / "prep_multi30k.py"), str(raw), str(done)], o.work / "prep.log")
    for source in (done / "val.bpe.en", done / "val.bpe.de", o.g2p / f"{o.language}_dev.tsv"):
        few = source.read_text(encoding="utf-8").split("\n")[:16]
        (o.work / f"few.{source.name}").write_text("".join(line + "\n" for line in few), encoding="utf-8")
    return done


def sides(o: argparse.Namespace, m30k: Path) -> list[Side]:
    """Who runs in a round, in order; peers whose environment is not there are left out."""

    def peer(script: str, *words: object) -> list[str]:
        return [sys.executable, str(o.peers / script), *map(str, words)]

    pairs, few = f"{m30k}/train.bpe.en,{m30k}/train.bpe.de", f"{o.work}/few.val.bpe.en,{o.work}/few.val.bpe.de"
    found = [ours(o.work, f"jumok {kind}", pairs, few, kind, o.steps, TRANSLATION) for kind in ("float32", "bfloat16")]
    if o.opennmt:
        words = ["--encoder", "brnn", *shlex.split(o.opennmt_options)]
        command = peer("opennmt_py.py", o.opennmt.absolute(), m30k, o.work / "opennmt", *words)
        found.append(Side("opennmt", command, opennmt(o.work / "opennmt" / "train.log")))
    if o.joeynmt:
        words = [m30k, o.work / "joeynmt", *shlex.split(o.joeynmt_options)]
        found.append(Side("joeynmt", peer("joeynmt_rnn.py", o.joeynmt.absolute(), *words), printed))
    found.append(Side("tutorial", peer("tutorial.py", m30k, *shlex.split(o.tutorial_options)), printed))
    if o.yoyodyne:
        pairs, few = str(o.g2p / f"{o.language}_train.tsv"), f"{o.work}/few.{o.language}_dev.tsv"
        for kind, name in (("float32", "32-true"), ("bfloat16", "bf16-mixed")):
            for note, size in LETTERS_SIZES[kind].items():
                found.append(ours(o.work, f"jumok g2p {kind}{note}", pairs, few, kind, o.g2p_steps, f"{LETTERS} {size}"))
            words = ["--lang", o.language, "--precision", name, *shlex.split(o.yoyodyne_options)]
            command = peer("yoyodyne_g2p.py", o.yoyodyne.absolute(), o.g2p, o.work / "yoyodyne", *words)
            found.append(Side(f"yoyodyne {kind}", command, printed))
    return found


def ours(work: Path, name: str, pairs: str, dev: str, precision: str, steps: int, options: str) -> Side:
    """`jumok train` as a user runs it, with one evaluation, on a few dev pairs, after the last step."""
    folder = work / name.replace(" ", "-").replace(",", "")
    command = [sys.executable, "-m", "jumok", "train", pairs, "--dev", dev, "--out", str(folder), "--overwrite"]
    command += ["--threads", "1", "--device", "cpu", "--precision", precision]
    command += ["--steps", str(steps), "--evaluate-every", str(steps), *options.split()]

    def figures(ran: Ran) -> dict[str, Any]:
        kept = read_folder(folder)
        (entry,) = json.loads((folder / "history.json").read_text(encoding="utf-8"))
        learn = kept.config.training["learn"]
        sentences = entry["step"] * learn["batch_size"]
        return {
            "target_tokens_per_second": entry["tokens_per_second"],
            "target_tokens_per_sentence": entry["tokens_per_second"] * entry["seconds"] / sentences,
            "steps": entry["step"],
            "parameters": sum(p.size for p in kept.parameters.values()),
            "peak_memory_mib": ran.peak_mib,
            "is": f"{learn['precision']}, {learn['matmul']} products, {options}",
        }

    return Side(name, command, figures)


def printed(ran: Ran) -> dict[str, Any]:
    """The figures of a peer's script from the JSON line it prints; it measures its child's memory itself."""
    lines = [json.loads(line) for line in ran.output.splitlines() if line.startswith("{")]
    if not lines:
        raise Failed("no line of figures was printed")
    line = lines[0]
    rate = line["tgt_tok_s"] if "tgt_tok_s" in line else line["tok_s_as_logged"]
    return {
        "target_tokens_per_second": rate,
        "target_tokens_per_sentence": rate / line["sent_s"],
        "steps": int(line["steps"]),
        "parameters": line["params"],
        "peak_memory_mib": line["rss_mib"],
        "is": line["peer"],
    }


def opennmt(log: Path) -> Callable[[Ran], dict[str, Any]]:
    """As `printed`, the rate from its log: the script goes by a clock of whole seconds, too coarse for a short run.

    Each report has its own tokens a step and tokens a second, so that all tokens over all seconds is the harmonic mean of the
    rates, weighted by tokens. The first three reports are left out, as the script does.
    """

    def figures(ran: Ran) -> dict[str, Any]:
        reports = re.findall(r"bsz:\s*\d+/\s*(\d+)/.*?/\s*(\d+) tok/s", log.read_text(encoding="utf-8"))[3:]
        if not reports:
            raise Failed(f"{log} has fewer than four reports")
        tokens, rates = ([float(x) for x in column] for column in zip(*reports, strict=True))
        return printed(ran) | {"target_tokens_per_second": statistics.harmonic_mean(rates, tokens)}

    return figures


def run(command: list[str], log: Path) -> Ran:
    """Runs a child on one thread to its end; Failed if that is not a good one."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = os.environ | threads | {"TOKENIZERS_PARALLELISM": "false", "PYTHONDONTWRITEBYTECODE": "1"}
    output, start = log.with_suffix(".out"), time.perf_counter()
    with open(log, "wb") as said, open(output, "wb") as wrote:
        child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=wrote, stderr=said, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    text = output.read_text(encoding="utf-8", errors="replace")
    if child.returncode:
        end = (text + log.read_text(encoding="utf-8", errors="replace")).strip().splitlines()[-3:]
        raise Failed(f"exit status {child.returncode}: {' | '.join(end)[-400:]}")
    share = (usage.ru_utime + usage.ru_stime) / (time.perf_counter() - start)
    return Ran(text, usage.ru_maxrss / 1024, share)


def in_turns(sides: list[Side], rounds: int, work: Path, left_out: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """The figures of every side by round; a peer that fails is noted in `left_out` and not run again, Jumok must not fail."""
    found: dict[str, list[dict[str, Any]]] = {side.name: [] for side in sides}
    for number in range(1, rounds + 1):
        for side in sides:
            if side.name in left_out:
                continue
            start = time.perf_counter()
            try:
                ran = run(side.command, work / side.log)
                row = side.figures(ran) | {"cpu_share": ran.cpu_share}
            except Failed as e:
                if side.name.startswith("jumok"):
                    raise
                left_out[side.name] = str(e)
                print(f"round {number}: {side.name} failed: {e}", file=sys.stderr, flush=True)
                continue
            seconds = time.perf_counter() - start
            found[side.name].append(row | {"seconds": seconds})
            rate = row["target_tokens_per_second"]
            told = f"{rate:,.0f} tokens/s, {seconds:.0f} s in all, {ran.cpu_share:.0%} of the core"
            print(f"round {number}: {side.name}: {told}", file=sys.stderr, flush=True)
    return {name: rows for name, rows in found.items() if rows}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A side's rates by round, and what is the same in all; of memory the most."""
    rates = [row["target_tokens_per_second"] for row in rows]
    return {
        "target_tokens_per_second": [round(rate, 1) for rate in rates],
        "median": round(statistics.median(rates), 1),
        "steps": rows[0]["steps"],
        "target_tokens_per_sentence": round(rows[0]["target_tokens_per_sentence"], 2),
        "parameters": rows[0]["parameters"],
        "peak_memory_mib": round(max(row["peak_memory_mib"] for row in rows)),
        "cpu_share": [round(row["cpu_share"], 2) for row in rows],
        "seconds_in_all": [round(row["seconds"]) for row in rows],
        "is": rows[0]["is"],
    }


def ratios(rounds: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """How many times the peer's tokens a second ours are: by round, the median, and what is wanted."""
    found = {}
    for (our, peer), wanted in WANTED.items():
        both = zip(rounds.get(our, []), rounds.get(peer, []), strict=False)  # a peer that failed has fewer rounds
        values = [a["target_tokens_per_second"] / b["target_tokens_per_second"] for a, b in both]
        if values:
            by_round, median = [round(v, 2) for v in values], round(statistics.median(values), 2)
            found[f"{our} / {peer}"] = {"rounds": by_round, "median": median, "wanted": wanted}
    return found


if __name__ == "__main__":
    main()
