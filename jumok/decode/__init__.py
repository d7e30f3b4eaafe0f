"""Decoding: from a model to its outputs. A backend gives the numbers; search, ranking and rules choose; the translator speaks in strings.

    backend.py      what search asks of a model, and the table BACKENDS
    search.py       greedy and beam, over any backend
    ranking.py      which of two outputs is better
    rules.py        what may not be written
    hypotheses.py   what search finds, and the trail it follows back to it
    translator.py   strings in, `Translation`s out

Nothing is imported here, so that search runs without a model folder's code, and training without the translator.
"""
