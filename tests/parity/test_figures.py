from __future__ import annotations

import math

import pytest

from rnnport.parity.figures import bytes_text, counted, figure, percent, power, share_text, times


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "–"), (0.0, "0"), (3.14e-7, "3.1e-07"), (math.inf, "not finite"), (2.0, "2.0e+00")],
)
def test_errors(value: float | None, words: str) -> None:
    assert figure(value) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (None, "–"),
        (0.0, "0 %"),
        (0.314, "31 %"),
        (0.0042, "0.42 %"),
        (0.999, "99 %"),
        (1.0, "100 %"),
        (1.004, "1.00 ×"),
        (12.34, "12.3 ×"),
        (4100.2, "4100 ×"),
        (math.inf, "not equal"),
    ],
)
def test_a_share_of_the_bound(share: float | None, words: str) -> None:
    assert share_text(share) == words


def test_other_numbers() -> None:
    assert [percent(1e-9), percent(4e-6)] == ["<0.0001 %", "0.00040 %"]
    assert [times(8.123e5), times(math.inf)] == ["8.1e+05 ×", "not finite"]
    assert [power(-10), power(3)] == ["10⁻¹⁰", "10³"]
    assert [counted(1, "check"), counted(1200, "check")] == ["1 check", "1,200 checks"]
    assert [bytes_text(n) for n in (1, 999, 1000, 1_402_112, 3 * 10**12)] == [
        "1 byte",
        "999 bytes",
        "1.0 kB",
        "1.4 MB",
        "3000.0 GB",
    ]
