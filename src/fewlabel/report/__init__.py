"""Reports that people look at: one self-contained HTML file each."""

from fewlabel.report.html import (
    EvaluationInputs,
    Gallery,
    GalleryItem,
    LedgerRow,
    ReportInputs,
    render_evaluation,
    render_report,
)

__all__ = [
    "EvaluationInputs",
    "Gallery",
    "GalleryItem",
    "LedgerRow",
    "ReportInputs",
    "render_evaluation",
    "render_report",
]
