"""Policies: how a search chooses, from the options and what a line asks for: ranking, rules, and the choice among tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jumok.config import SearchConfig
from jumok.decode.choice import Candidates, Choose, best_continuations, likeliest
from jumok.decode.ranking import Ranking, ranking_of
from jumok.decode.rules import RULES, Rule

if TYPE_CHECKING:
    from jumok.decode.rulebook import Rulebook, Wish


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


def policy_of(
    options: SearchConfig, book: Rulebook | None = None, wishes: Sequence[Wish] = (), limits: Sequence[int] = ()
) -> Policy:
    """The policy that these options ask for.

    Args:
        book: the rules that the options ask for; None for none.
        wishes, limits: what each line of the search asks for, and the most tokens of its output.
    """
    policy = Policy(ranking_of(options))
    if book is None:
        return policy
    rules, candidates = book.rules(wishes, limits)
    return replace(policy, rules=(*policy.rules, *rules), candidates=candidates or policy.candidates)
