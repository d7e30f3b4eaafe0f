#!/usr/bin/env bash
# From spelling to sound: train on a pronunciation dictionary, measure on words held out, look at one word.
#
#   examples/g2p.sh TRAIN.tsv DEV.tsv TEST.tsv WORD
#
# A line of the files is a word, a tab, and its phones with blanks between: `cat<TAB>K AE T`.
# Needs `make test` or `pip install 'jumok[train]'` before, and `jumok` on the path (. .venv/bin/activate).
set -euo pipefail
if [ $# -ne 4 ]; then
  echo "usage: $0 TRAIN.tsv DEV.tsv TEST.tsv WORD" >&2
  exit 2
fi
model=g2p-model

# letters in, phones out: the only option the data asks for
jumok train "$1" --dev "$2" --out "$model" --target-tokenizer space --minutes 2

jumok evaluate "$model" "$3"                         # word and phone error rates
printf '%s\n' "$4" | jumok translate "$model" --beam 5 --nbest 3
jumok explain "$model" "$4"                          # which letter made which sound
jumok explain "$model" "$4" --out "$4.svg"
