"""A parity report as one self-contained HTML file: no script, nothing from elsewhere."""

from __future__ import annotations

from rnnport.parity.html.page import render

__all__ = ["render"]
