"""Policies: how a search chooses, from the options and what a line asks for: ranking, rules, and the choice among tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jumok.config import SearchConfig
from jumok.decode.choice import Candidates, Choose, best_continuations, likeliest
from jumok.decode.ranking import Ranking, ranking_of
from jumok.decode.rules import RULES, Rule


@dataclass(frozen=True)
class Policy:
    """How a search chooses.

    Attributes:
        ranking: what hypotheses are ranked by. None: what the options ask for.
        rules: all rules that hold. The default forbids pads and the start token; put further rules behind it.
        choose: how greedy search chooses a token.
        candidates: how beam search chooses continuations.
    """

    ranking: Ranking | None = None
    rules: Sequence[Rule] = RULES
    choose: Choose = likeliest
    candidates: Candidates = best_continuations


PLAIN = Policy()


def policy_of(options: SearchConfig) -> Policy:
    """The policy that these options ask for."""
    return Policy(ranking_of(options))
