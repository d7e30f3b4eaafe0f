"""How good output is: metrics that travel with their signature, and tables of them."""

from jumok.measure.aer import LINK_METRICS, Gold, LinkMetric, check_range, measure_links, read_gold, read_links
from jumok.measure.gold import GoldText, gold_text
from jumok.measure.metrics import METRICS, Measured, MeasureOptions, Metric, measure, merge_references, options_for
from jumok.measure.reliability import Fit, calibration
from jumok.measure.report import Spread, as_dict, spread, table
from jumok.measure.risk import utilities, utility_of
from jumok.measure.scoring import Likelihood, likelihood, score_pairs

__all__ = [
    "LINK_METRICS",
    "METRICS",
    "Fit",
    "Gold",
    "GoldText",
    "Likelihood",
    "LinkMetric",
    "MeasureOptions",
    "Measured",
    "Metric",
    "Spread",
    "as_dict",
    "calibration",
    "check_range",
    "gold_text",
    "likelihood",
    "measure",
    "measure_links",
    "merge_references",
    "options_for",
    "read_gold",
    "read_links",
    "score_pairs",
    "spread",
    "table",
    "utilities",
    "utility_of",
]
