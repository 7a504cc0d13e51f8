"""Numbers as a parity report writes them."""

from __future__ import annotations

import math

__all__ = ["bytes_text", "counted", "figure", "percent", "power", "share_text", "times"]

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def figure(value: float | None) -> str:
    """An error or a bound: "3.1e-07", "0", or "–" where there is none."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "not finite"
    return "0" if value == 0 else f"{value:.1e}"


def share_text(share: float | None) -> str:
    """Error over bound: "31 %" within it, "12 ×" beyond it."""
    if share is None:
        return "–"
    if math.isinf(share):
        return "not equal"
    return percent(share) if share <= 1 else times(share)


def percent(part: float) -> str:
    """A part of one with two digits that count: "31 %", "0.0042 %", "<0.0001 %"."""
    hundredth = 100 * part
    if hundredth == 0 or hundredth >= 10:
        return f"{math.floor(hundredth)} %" if 99 < hundredth < 100 else f"{hundredth:.0f} %"
    if hundredth < 1e-4:
        return "<0.0001 %"
    return f"{hundredth:.{1 - math.floor(math.log10(hundredth))}f} %"


def times(factor: float) -> str:
    """A factor: "1.03 ×", "12.4 ×", "120 ×", "8.1e+05 ×"."""
    if not math.isfinite(factor):
        return "not finite"
    if factor >= 1e5:
        return f"{factor:.1e} ×"
    return f"{factor:.{2 if factor < 10 else 1 if factor < 100 else 0}f} ×"


def power(exponent: int) -> str:
    """A power of ten: "10⁻⁸"."""
    return f"10{str(exponent).translate(_SUPERSCRIPTS)}"


def counted(number: int, noun: str) -> str:
    """A number of things: "1 check", "1,200 checks"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def bytes_text(size: int) -> str:
    """A size in bytes, in decimal units: "812 bytes", "1.4 MB"."""
    if size < 1000:
        return counted(size, "byte")
    exponent = min(3, int(math.log10(size)) // 3)
    return f"{size / 1000**exponent:.1f} {('kB', 'MB', 'GB')[exponent - 1]}"
