"""How good output is: metrics that travel with their signature, and tables of them."""

from jumok.measure.metrics import METRICS, Measured, MeasureOptions, Metric, measure, merge_references
from jumok.measure.report import Spread, as_dict, spread, table

__all__ = [
    "METRICS",
    "MeasureOptions",
    "Measured",
    "Metric",
    "Spread",
    "as_dict",
    "measure",
    "merge_references",
    "spread",
    "table",
]
