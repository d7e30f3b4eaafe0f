"""How far apart the numbers of a model may be that are computed in two ways: in one pass and in steps, alone and in an ensemble."""

from jumok.decode.backend import engines_of
from jumok.decode.compiled import NEAR_TIE
from jumok.decode.translator import Translator


def rounding(model: Translator) -> tuple[float, float]:
    """Of log-probabilities of whole outputs, and of weights. The compiled engine searches with int8 planes and scores in float32."""
    return (1e-4, 1e-5) if set(engines_of(model.backend)) == {"numpy"} else (NEAR_TIE, 1e-4)
