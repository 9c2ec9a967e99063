"""Colours and fonts of the pictures, and text in XML."""

from __future__ import annotations

import re
from html import escape

from kale_magics.view.words import columns

INK, SOFT, FAINT, LINE = "#1f2a37", "#5b6776", "#d5dbe3", "#8794a5"
PANEL, PAPER, ACCENT = "#f6f8fb", "#ffffff", "#8250df"
SANS = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"
MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace"

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml(text: str) -> str:
    """Escape a text for XML, in elements and in attributes."""
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text))


def title(text: str) -> str:
    """Return the title of an SVG element, which browsers show as a tooltip."""
    return f"<title>{xml(text)}</title>"


def mono_width(text: str) -> float:
    """Return the pixel width of a text of 11 px; monospaced fonts advance by at most 0.6 of their size."""
    return columns(text) * 6.7
