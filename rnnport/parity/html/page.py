"""The page: verdict first, then what stands behind it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from rnnport.parity.html.accuracy import accuracy
from rnnport.parity.html.checks import checks
from rnnport.parity.html.graphs import graphs
from rnnport.parity.html.histogram import histograms
from rnnport.parity.html.markup import Markup, join, tag
from rnnport.parity.html.origin import machine, reproduce, versions
from rnnport.parity.html.steps import steps
from rnnport.parity.html.verdict import STATES, verdict
from rnnport.parity.reading import read_report
from rnnport.parity.report import ParityReport
from rnnport.parity.sentences import headline

__all__ = ["render"]

# Should a name ever get past the escaping, nothing it brings is run or fetched.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_COLOURS = {"pass": "#0b7a5c", "fail": "#bf3412", "halt": "#8a5a00"}


def render(facts: Mapping[str, Any]) -> str:
    """A report as one HTML file, the same for the same facts.

    Args:
        facts: what ParityReport.to_dict() gives, or a JSON file of it holds.

    Raises:
        msgspec.ValidationError: they are not such facts.
    """
    report = read_report(facts)
    parts = {
        "Checks": checks(report.checks),
        "Error over time": steps(report.accuracy, report.provider),
        "Differences": histograms(report.histograms),
        "Float64": accuracy(report),
        "Graphs": graphs(report.forms, report.layers),
        "Versions": versions(report.versions),
        "Machine": machine(report.machine),
        "Reproduce": reproduce(report.command),
    }
    found = {name: part for name, part in parts.items() if part is not None}
    main = tag("main", _head(report), verdict(report), _contents(found), *found.values())
    return "<!doctype html>\n" + tag("html", _metadata(report), tag("body", main), lang="en") + "\n"


def _metadata(report: ParityReport) -> Markup:
    word = headline(report)
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href=_icon(STATES[word])),
        tag("title", f"{report.name} on {report.provider}: {word}"),
        tag("style", Markup(_style())),
    )


def _head(report: ParityReport) -> Markup:
    label = tag("p", "rnnport parity report", class_="label")
    where = tag("span", f" on {report.provider}", class_="where")
    return tag("header", label, tag("h1", report.name, where))


def _contents(found: Mapping[str, Markup]) -> Markup | None:
    anchors = {
        "Checks": "checks",
        "Error over time": "steps",
        "Differences": "histogram",
        "Float64": "accuracy",
        "Graphs": "graphs",
        "Versions": "versions",
        "Machine": "machine",
        "Reproduce": "reproduce",
    }
    links = [tag("a", name, href=f"#{anchors[name]}") for name in found]
    return tag("nav", *links, aria_label="contents") if len(links) > 1 else None


def _icon(state: str) -> str:
    colour = _COLOURS[state]
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8">'
        f'<circle cx="4" cy="4" r="4" fill="{colour}"/></svg>'
    )
    return "data:image/svg+xml;base64," + base64.b64encode(drawing.encode()).decode()


@cache
def _style() -> str:
    return join(Markup(files(__package__).joinpath("report.css").read_text("utf-8")))
