"""Text: strings to arrays and back. Lines, pairs, tokenizers, vocabularies, batches."""

from jumok.text.batches import Batch, Batches, in_length_order
from jumok.text.codec import Codec, Side, build_codec, grown, is_joint
from jumok.text.dev import check_dev, split_dev
from jumok.text.lines import Line, read_lines
from jumok.text.pairs import Pair, read_every_pair, read_pairs
from jumok.text.rows import Rows
from jumok.text.tokenizers import TOKENIZERS, Tokenizer, load_tokenizer, train_tokenizer
from jumok.text.vocabulary import END, PAD, SPECIALS, START, UNK, Vocabulary

__all__ = [
    "END",
    "PAD",
    "SPECIALS",
    "START",
    "TOKENIZERS",
    "UNK",
    "Batch",
    "Batches",
    "Codec",
    "Line",
    "Pair",
    "Rows",
    "Side",
    "Tokenizer",
    "Vocabulary",
    "build_codec",
    "check_dev",
    "grown",
    "in_length_order",
    "is_joint",
    "load_tokenizer",
    "read_every_pair",
    "read_lines",
    "read_pairs",
    "split_dev",
    "train_tokenizer",
]
