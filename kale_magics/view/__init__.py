"""Text, tables and pictures of pipelines and runs."""

from __future__ import annotations

from kale_magics.view.graph_view import GraphView
from kale_magics.view.live import LiveView
from kale_magics.view.progress import Progress, summary
from kale_magics.view.runs_table import runs_text
from kale_magics.view.svg import svg
from kale_magics.view.table import Row, TableView, cell_rows, diagnostics_text
from kale_magics.view.tree import tree

__all__ = [
    "GraphView",
    "LiveView",
    "Progress",
    "Row",
    "TableView",
    "cell_rows",
    "diagnostics_text",
    "runs_text",
    "summary",
    "svg",
    "tree",
]
