"""Decoding: from a model to its outputs. A backend computes; search, ranking and rules choose; the translator works with strings.

    backend.py      what search needs of a model, and the table BACKENDS
    search.py       greedy and beam search, over any backend; alone.py: beam search for one sentence
    policy.py       how a search chooses, as the options ask
    ranking.py      which of two outputs is better
    rules.py        which tokens may not be written
    lists.py        lists of outputs or words, from files or given
    rulebook.py     what the options ask of outputs, made into rules
    automata.py     what may follow what is written, as states; required.py, trie.py: required texts, lists of whole outputs
    following.py    the rule that follows automata through a search
    choice.py       how a step of search chooses among tokens
    sampling.py     outputs drawn from the distribution
    diverse.py      beam search in groups that differ
    risk.py         of several outputs, the one nearest to all
    hypotheses.py   the outputs of search, and the trail of steps that leads back from them
    unknowns.py     the source token in place of an <unk>
    asked.py        what is asked for beside a search; light, since most calls ask for nothing
    translator.py   strings in, `Translation`s out; face.py: its calls, with all options spelled out
    answers.py      a translation for every line of a file or a stream
    remarks.py      warnings about many translations
    inspecting.py   what a translator shows of its work: alternatives.py: next tokens; tree.py: a whole beam search

Nothing is imported here, so that search runs without the code for model folders, and training without the translator.
"""
