from __future__ import annotations

import html
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import msgspec
import pytest

from rnnport.parity.facts import Accuracy, Histogram
from rnnport.parity.html import render
from rnnport.parity.html.axes import Decades, binned, step_ticks
from rnnport.parity.html.markup import join, mark, tag, words
from rnnport.parity.report import ParityReport
from tests.parity import reports

EVERY = ("passed", "failed", "lacking", "partial", "small", "hostile")
# Everything the page is made of; anything else came out of a name.
TAGS = """
html head meta link title style body main header h1 h2 h3 p span div section nav a b em ul li dl dt
dd details summary table thead tbody tr th td figure figcaption svg path pre code
"""
ATTRIBUTES = """
class id style href rel lang charset http-equiv content name scope open role aria-label aria-hidden
data-label viewbox preserveaspectratio d
"""


class Reader(HTMLParser):
    """Elements, attributes and text, as a browser would take them; elements must balance."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "link"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "style":
            self.text += data


def page(report: ParityReport) -> str:
    return render(json.loads(json.dumps(report.to_dict())))


def read(report: ParityReport) -> Reader:
    return Reader(page(report))


@pytest.mark.parametrize("name", EVERY)
def test_a_page_is_well_formed_and_of_known_parts(name: str) -> None:
    found = read(getattr(reports, name)())
    assert set(found.tags) <= set(TAGS.split())
    assert {key for key, _ in found.attributes} <= set(ATTRIBUTES.split())


@pytest.mark.parametrize("name", EVERY)
def test_nothing_comes_from_elsewhere(name: str) -> None:
    text = page(getattr(reports, name)())
    links = re.findall(r'(?:href|src)="([^"]*)"', text)
    assert links
    assert all(link.startswith(("#", "data:image/svg+xml;base64,")) for link in links)
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src &#x27;none&#x27;" in text


def test_it_is_the_same_for_the_same_facts() -> None:
    assert page(reports.failed()) == page(reports.failed())


def test_names_are_text_and_nothing_else() -> None:
    report = reports.hostile()
    found = read(report)
    evil = "<script>alert('x')</script>"
    assert evil not in page(report)
    assert found.text.count(evil) >= 5
    check = report.checks[-1]
    for words_ in (report.name, check.name, check.output, check.note, check.start, check.kind):
        assert words_ in found.text
    assert report.histograms[0].output in found.text
    assert report.command in found.text


def test_every_fact_is_there() -> None:
    report = reports.failed()
    text = read(report).text
    for check in report.checks:
        assert check.name in text
        assert check.note in text
        assert check.start in text
    for one in report.accuracy:
        assert one.case in text
        assert one.truth in text
        assert f"{one.error:.1e}" in text
        assert f"{one.tensorflow:.1e}" in text
        assert f"{one.ratio:.2f} ×" in text
    for histogram in report.histograms:
        assert f"{histogram.exact:,}" in text
        assert all(f"{count:,} · " in text for count in histogram.counts.values())
    for form in report.forms.values():
        assert form.file in text
        assert all(f"{op}{count}" in text for op, count in form.op_counts.items())
    for layer in report.layers:
        assert all(part in text for part in (layer.name, layer.kind, layer.lowering, layer.reason))
    for side in report.versions.values():
        assert all(name in text and version in text for name, version in side.items())
    assert all(what in text and value in text for what, value in report.machine.items())
    assert "≠ 1.24.1" in text
    assert report.command in text
    assert "41.3 s" in text


def test_the_verdict_comes_first_and_the_command_last() -> None:
    text = page(reports.failed())
    order = ['class="verdict fail"', 'id="checks"', 'id="steps"', 'id="histogram"']
    order += ['id="accuracy"', 'id="graphs"', 'id="versions"', 'id="machine"', 'id="reproduce"']
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "<title>sleep-staging on cpu: failed</title>" in text
    anchors = re.findall(r'href="#(\w+)"', text)
    assert anchors == re.findall(r'<section id="(\w+)"', text)


def test_only_kinds_that_failed_are_open_and_what_failed_comes_first() -> None:
    text = page(reports.failed())
    lines = re.findall(r'<details( open)? class="kind">.*?<b>([^<]*)</b>', text)
    assert [kind for opened, kind in lines if opened] == [
        "shapes",
        "masks",
        "streaming",
        "accuracy",
    ]
    assert len(lines) == 13
    rows = re.findall(r'class="says (pass|fail)"', text)
    assert rows[:10] == ["fail"] + ["pass"] * 9
    assert rows[10:30] == ["fail"] * 3 + ["pass"] * 17
    assert rows.count("fail") == 6
    assert "<details open" not in page(replace(reports.passed(), accuracy=()))


def test_a_provider_that_cannot_run_says_what_is_lacking() -> None:
    report = reports.lacking()
    text = read(report).text
    assert "Cannot run" in text
    assert "model, LSTM: ignores sequence_lens without an error" in text
    assert "stream, Scan: no Scan with an open number of steps" in text
    assert 'id="checks"' not in page(report)
    assert 'class="verdict halt"' in page(report)
    some = page(reports.partial())
    assert 'class="verdict halt"' in some
    assert "cuda cannot run stream.onnx. Of the rest: All 72 checks passed" in some
    assert 'id="checks"' in some


def test_what_is_empty_has_no_section() -> None:
    assert re.findall(r'<section id="(\w+)"', page(reports.small())) == ["checks"]
    nothing = read(ParityReport("m", "cpu", ()))
    assert "Failed" in nothing.text
    assert "Nothing was compared" in nothing.text


def test_as_accurate_is_said_only_where_it_is_true() -> None:
    assert "As accurate as TensorFlow itself" in read(reports.passed()).text
    assert "Less accurate than TensorFlow:" in read(reports.failed()).text
    assert "As accurate as TensorFlow itself" not in read(reports.failed()).text
    one = msgspec.structs.replace(reports.passed().accuracy[0], ratio=9.0)
    even = page(replace(reports.passed(), accuracy=(one,)))
    assert '<p class="law"><span>Against float64: median' in even


def accuracy(steps: list[float], theirs: list[float]) -> ParityReport:
    one = Accuracy(
        case="plain",
        output="y",
        truth="float64",
        error=1e-6,
        tensorflow=1e-6,
        ratio=1.0,
        steps=steps,
        tensorflow_steps=theirs,
    )
    return replace(reports.small(), accuracy=(one,))


def test_lines_are_where_the_errors_are() -> None:
    text = page(accuracy([1e-8, 1e-7, 1e-6], [1e-6, 0.0, 1e-8]))
    assert 'd="M0.0 300.0L500.0 150.0L1000.0 0.0" class="line0"' in text
    assert 'd="M0.0 0.0L500.0 300.0L1000.0 300.0" class="line1"' in text
    told = read(accuracy([1e-8, 1e-7, 1e-6], [1e-6, 0.0, 1e-8])).text
    assert "rnnport on cpu: 1.0e-08 at step 1, 1.0e-06 at step 3, at most 1.0e-06 at step 3" in told
    assert "TensorFlow, float32: 1.0e-06 at step 1, 1.0e-08 at step 3" in told


def test_lines_break_where_an_error_is_not_finite() -> None:
    text = page(accuracy([1e-8, math.nan, 1e-6], []))
    assert 'd="M0.0 300.0M1000.0 0.0" class="line0"' in text
    assert 'class="line1"' not in text
    assert "not finite" in text


def test_no_error_at_all_and_a_single_step() -> None:
    assert "No error at any step." in page(accuracy([0.0, 0.0], [0.0, 0.0]))
    assert 'd="M0.0 300.0L1000.0 300.0" class="line0"' in page(accuracy([1e-8], [1e-7]))


def test_of_many_steps_the_largest_are_kept() -> None:
    steps = [1e-8] * 1000
    steps[501] = 1e-6
    text = page(accuracy(steps, []))
    assert "each point is the largest of 3 steps" in text
    path, _ = re.findall(r'd="([^"]*)" class="line0"', text)
    assert path.count("L") == 333
    assert "L501.5 0.0" in path
    assert "at most 1.0e-06 at step 502" in read(accuracy(steps, [])).text


def test_bars_are_as_long_as_their_share() -> None:
    one = Histogram(output="y", exact=50, counts={-8: 49, -5: 1})
    text = page(replace(reports.small(), histograms=(one,)))
    widths = re.findall(r'class="track" aria-hidden="true"><span style="width:([^"]*)"', text)
    assert widths == ["max(2px,50.00%)", "max(2px,49.00%)", "0", "0", "max(2px,1.00%)"]
    assert "10⁻⁸ – 10⁻⁷" in text
    assert "49 · 49 %" in text


def test_a_ratio_is_drawn_from_one() -> None:
    one = accuracy([1e-8], [1e-8]).accuracy[0]
    two = [msgspec.structs.replace(one, ratio=r) for r in (2.0, 0.5, 100.0)]
    text = page(replace(reports.small(), accuracy=tuple(two)))
    assert re.findall(r'style="(left|right):50%;width:([\d.]+)%"', text) == [
        ("left", "25.0"),
        ("right", "25.0"),
        ("left", "50.0"),
    ]


def test_three_hundred_checks() -> None:
    report = reports.passed(many=5)
    assert len(report.checks) == 360
    text = page(report)
    assert text.count('class="says pass"') == 360
    assert len(text.encode()) < 400_000


def test_axes() -> None:
    axis = Decades.around([3e-8, 2e-6, 0.0, math.inf])
    assert axis == Decades(-8, -5)
    assert [axis.place(v) for v in (0.0, 1e-8, 1e-5, 1.0)] == [0.0, 0.0, 1.0, 1.0]
    assert Decades.around([1e-6]) == Decades(-6, -5)
    assert Decades.around([0.0, math.nan]) is None
    assert Decades.around([1e-20, 1.0]) == Decades(-6, 0)
    assert Decades(-6, -4).ticks == [-6, -5, -4]
    assert binned([1, 5, 2, 4, 3], 2) == ([5, 4], 3)
    assert step_ticks(1) == [1]
    assert step_ticks(23) == [1, 5, 10, 15, 20]
    assert step_ticks(1000) == [1, 200, 400, 600, 800, 1000]


def test_markup() -> None:
    assert tag("td", "<a>", tag("b", "x"), None, class_="n", open=True, id=None) == (
        '<td class="n" open>&lt;a&gt;<b>x</b></td>'
    )
    assert tag("meta", name="a", content='"&') == '<meta name="a" content="&quot;&amp;">'
    assert join("&", tag("br")) == "&amp;<br></br>"
    assert words("at 1.2e-06 <") == 'at <span class="figure">1.2e-06</span> &lt;'
    assert words("12.3 × its 4 bounds") == '<span class="figure">12.3 ×</span> its 4 bounds'
    assert html.unescape(words("a & b")) == "a & b"
    assert 'aria-label="cannot run"' in mark("halt")
