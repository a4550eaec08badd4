"""What a reader of a result needs: intervals, figures and a report that stands alone.

Matplotlib and Jinja2 are imported when a name that needs them is first used.
"""

from typing import TYPE_CHECKING

from medjax.core.lazy import on_first_use

if TYPE_CHECKING:
    from .downstream import Gain, Worth, downstream_worth
    from .figures import comparison, curves, distribution, png
    from .hallucination import (
        HallucinationMaps,
        Parts,
        disagreement,
        hallucination_maps,
        measurable_parts,
    )
    from .report import Figure, MetricInfo, Report, write_report
    from .statistics import Summary, paired_difference, summarize

_HOMES = {
    "Gain": "downstream",
    "Worth": "downstream",
    "downstream_worth": "downstream",
    "comparison": "figures",
    "curves": "figures",
    "distribution": "figures",
    "png": "figures",
    "HallucinationMaps": "hallucination",
    "Parts": "hallucination",
    "disagreement": "hallucination",
    "hallucination_maps": "hallucination",
    "measurable_parts": "hallucination",
    "Figure": "report",
    "MetricInfo": "report",
    "Report": "report",
    "write_report": "report",
    "Summary": "statistics",
    "paired_difference": "statistics",
    "summarize": "statistics",
}

__all__ = [
    "Figure",
    "Gain",
    "HallucinationMaps",
    "MetricInfo",
    "Parts",
    "Report",
    "Summary",
    "Worth",
    "comparison",
    "curves",
    "disagreement",
    "distribution",
    "downstream_worth",
    "hallucination_maps",
    "measurable_parts",
    "paired_difference",
    "png",
    "summarize",
    "write_report",
]

__getattr__, __dir__ = on_first_use(__name__, _HOMES)
