"""Many processes, one run: each takes its share of every batch, and their gradients are added up before every step."""

from __future__ import annotations

from collections.abc import Iterator

from jumok.text import Batch


class Team:
    """The processes of a run, seen from one of them.

    Attributes:
        rank: this process's number, from 0; size: how many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    def parts(self, batch: Batch, accumulate: int) -> Iterator[Batch]:
        """This process's share of a batch, in `accumulate` parts; fewer, or none, where the batch has fewer pairs than that.

        P processes with A parts each deal a batch out like one process with P · A parts.
        """
        count = self.size * accumulate
        for number in range(self.rank, min(count, len(batch.rows)), self.size):
            yield batch if count == 1 else batch.part(number, count)


ALONE = Team()
