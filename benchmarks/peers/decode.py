"""How many times faster than CTranslate2 does the compiled engine decode?

    python -m benchmarks.peers.decode [--rounds 5] [--lines 128] [--layers 3]        (pip install ctranslate2, wherever Jumok is installed)

Both have random weights, a vocabulary of 8,000 and sources of 14 tokens, write 14 tokens whatever they are, and return the attention:
ours is an LSTM of 9.0 million parameters (embedding 256, hidden 512, nothing tied), theirs a Transformer (width 256, inner 2,048; with
3 layers of each side 14.7 million), made by its own classes without any checkpoint. `int8` against its int8 and `exact` against its float32,
in turns: greedy search and beam 5, a line alone and batches of 64. One thread each; pin the process to a core, as with taskset -c 0.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.support.measure import alternate, emit, ratio
from jumok.config import ModelConfig
from jumok.decode.compiled import Compiled
from jumok.runtime.parameters import random_parameters
from jumok.text.vocabulary import END, PAD, START

V, WIDTH, INNER, TOKENS = 8000, 256, 2048, 14
PAIRS = {"exact": "float32", "int8": "int8"}  # ours -> theirs


def ours(engine: str) -> Compiled:
    """A model whose probabilities are as peaked as a trained one's."""
    config = ModelConfig(
        attention="dot", embedding=256, hidden=512, readout_size=256, score_size=256, tie="none", size="medium"
    )
    parameters = random_parameters(config, V, V, seed=1)
    for name, factor in (("readout.output", 24), ("readout.w_h", 12), ("readout.w_c", 12)):
        parameters[name] = parameters[name] * np.float32(factor)
    model = Compiled(config, parameters, None, engine)
    model.threads = 1
    return model


def theirs(folder: Path, kind: str, layers: int) -> Any:
    """A Transformer of CTranslate2 with random weights, read from the folder that it is written to."""
    import ctranslate2
    from ctranslate2.specs import TransformerSpec

    rng = np.random.default_rng(0)
    spec = TransformerSpec.from_config((layers, layers), 8, pre_norm=True)

    def linear(of: Any, out: int, into: int) -> None:
        of.weight = (rng.standard_normal((out, into)) * into**-0.5).astype(np.float32)
        of.bias = np.zeros(out, np.float32)

    def norm(of: Any) -> None:
        of.gamma, of.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)

    def attention(of: Any, sizes: tuple[int, ...]) -> None:
        norm(of.layer_norm)
        for part, size in zip(of.linear, sizes, strict=True):
            linear(part, size, WIDTH)

    for side, embeddings in ((spec.encoder, spec.encoder.embeddings[0]), (spec.decoder, spec.decoder.embeddings)):
        embeddings.weight = (rng.standard_normal((V, WIDTH)) * WIDTH**-0.5).astype(np.float32)
        embeddings.multiply_by_sqrt_depth = True
        side.position_encodings.encodings = rng.standard_normal((512, WIDTH)).astype(np.float32)
        norm(side.layer_norm)
        for layer in side.layer:
            attention(layer.self_attention, (3 * WIDTH, WIDTH))
            if side is spec.decoder:
                attention(layer.attention, (WIDTH, 2 * WIDTH, WIDTH))
            norm(layer.ffn.layer_norm)
            linear(layer.ffn.linear_0, INNER, WIDTH)
            linear(layer.ffn.linear_1, WIDTH, INNER)
    linear(spec.decoder.projection, V, WIDTH)
    tokens = ["<blank>", "<unk>", "<s>", "</s>", *(f"w{i}" for i in range(V - 4))]
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    spec.validate()
    spec.optimize(quantization=None if kind == "float32" else kind)
    (folder / kind).mkdir()
    spec.save(str(folder / kind))
    return ctranslate2.Translator(str(folder / kind), device="cpu", compute_type=kind, inter_threads=1, intra_threads=1)


def by_ours(model: Compiled, ids: np.ndarray, beam: int, batch: int) -> Callable[[], None]:
    divisors = np.arange(1, TOKENS + 2, dtype=float)

    def run() -> None:
        for i in range(0, len(ids), batch):
            source = ids[i : i + batch]
            lengths, limits, never = np.full(len(source), TOKENS), np.full(len(source), TOKENS), (PAD, START, END)
            if beam == 1:
                model.greedy(source, lengths, limits, never)
            else:
                model.beam(source, lengths, limits, never, (beam, 1), divisors)

    return run


def by_theirs(model: Any, ids: np.ndarray, beam: int, batch: int) -> Callable[[], None]:
    lines = [[f"w{token - 4}" for token in line[:-1]] for line in ids.tolist()]
    fixed = {"max_decoding_length": TOKENS, "min_decoding_length": TOKENS, "batch_type": "examples", "return_attention": True}

    def run() -> None:
        for i in range(0, len(lines), batch):
            model.translate_batch(lines[i : i + batch], beam_size=beam, max_batch_size=batch, **fixed)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lines", type=int, default=128)
    parser.add_argument("--layers", type=int, default=3)
    o = parser.parse_args()
    ids = np.random.default_rng(0).integers(4, V, (o.lines, TOKENS))
    ids[:, -1] = END
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for engine, kind in PAIRS.items():
            model, peer = ours(engine), theirs(Path(folder), kind, o.layers)
            for beam in (1, 5):
                for batch in (1, 64):
                    lines = ids if batch > 1 else ids[: max(1, o.lines // 4)]
                    ways = {"ours": by_ours(model, lines, beam, batch), "theirs": by_theirs(peer, lines, beam, batch)}
                    seconds = alternate(ways, o.rounds)
                    name = f"{engine} over its {kind}, {'greedy' if beam == 1 else 'beam 5'}, batch {batch}"
                    figures[name] = ratio(seconds, "theirs", "ours") | {
                        way: round(1000 * min(s) / len(lines), 3) for way, s in seconds.items()
                    }
                    print(f"{name}: {figures[name]}", flush=True)
    import ctranslate2

    emit("decode beside CTranslate2, milliseconds a line at best", ctranslate2=ctranslate2.__version__, **figures)


if __name__ == "__main__":
    main()
