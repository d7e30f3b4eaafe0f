"""The model card: a page a person reads to know what a model folder holds, how good it is, and how to use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jumok
from jumok.config import TrainConfig
from jumok.learn.choice import Choice
from jumok.learn.history import Evaluation, best_of
from jumok.runtime.cells import CELLS

_NAMES = {"loss": "teacher-forced loss (nats a token)"}


def model_card(
    config: TrainConfig, history: Sequence[Evaluation], pairs: int, signatures: Mapping[str, str], taught: str = ""
) -> str:
    """Markdown for the folder's README.md; metrics are those of the best evaluation on dev, each with its signature.

    `taught`: the digest of the teacher, if there was one.
    """
    text, model, learn = config.text, config.model, config.learn
    window = f" in a window `{model.window}` of {model.window_size} to each side" * (model.window != "none")
    window += f", alignment `{model.alignment}`" * (model.alignment != "soft") + ", copying" * bool(model.copy)
    reading = ", the source read backwards" * model.reverse_source + ", input feeding" * model.input_feeding
    best = best_of(history)
    lines = [
        "# A jumok model",
        "",
        f"Made by jumok {jumok.__version__}: {CELLS[model.cell].title} encoder-decoder, attention `{model.attention}`{window}, "
        f"{model.depth} layer{'s' * (model.depth > 1)}, hidden {model.hidden}, embedding {model.embedding}{reading}.",
        "",
        f"- source: `{text.source_tokenizer}` tokens" + f", Unicode form {text.source_form}" * (text.source_form != "none"),
        f"- target: `{text.target_tokenizer}` tokens" + f", Unicode form {text.target_form}" * (text.target_form != "none"),
        f"- trained on {pairs:,} pairs of `{config.pairs}`, seed {learn.seed}, {learn.steps or 0:,} steps planned",
    ]
    if taught:
        lines += [
            f"- targets: {100 * config.teacher_gold:g} % those of the pairs, the rest written by `{config.teacher}` "
            f"(digest {taught}) with beam {config.teacher_beam}"
        ]
    if best:
        lines += [
            "",
            f"On dev (`{config.dev or 'set aside from the training pairs'}`), free running, greedy, at step {best.step:,}:",
            "",
            "| metric | value | signature |",
            "| --- | --- | --- |",
            *(f"| {_NAMES.get(m, m)} | {value:.3f} | {_cell(signatures.get(m, ''))} |" for m, value in best.metrics.items()),
            "",
            f"The best model is the one with the best {learn.metric}; where that ties, with the best "
            f"{' and '.join(Choice(learn.metric or 'loss').measures[1:]) or 'loss'}.",
            "Dev chose the model, so these flatter it a little: `jumok evaluate` on a test file tells what to expect.",
        ]
    lines += [
        "",
        "```",
        "echo 'your text' | jumok translate THIS_FOLDER",
        "jumok explain THIS_FOLDER 'your text'",
        "```",
        "",
        "`config.json` holds every option of the run, `history.json` its course.",
        "",
    ]
    return "\n".join(lines)


def _cell(signature: str) -> str:
    return f"`{signature}`".replace("|", "\\|") if signature else ""
