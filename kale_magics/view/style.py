"""Colours, fonts and text of the pictures."""

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
    """A text as it stands in XML, in elements and in attributes."""
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text))


def title(text: str) -> str:
    """What is shown when the mouse rests on the element that this stands in."""
    return f"<title>{xml(text)}</title>"


def mono_width(text: str) -> float:
    """The pixels that a text of 11 px takes; monospaced fonts advance by 0.6 of their size, or less."""
    return columns(text) * 6.7
