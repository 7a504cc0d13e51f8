"""A parity report as JUnit XML, for continuous integration: one test suite a kind of check."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from rnnport.parity.groups import Group, grouped
from rnnport.parity.report import ParityReport
from rnnport.parity.sentences import place, reason, summary
from rnnport.spec import Check

__all__ = ["junit_xml"]

# What XML 1.0 cannot hold, not even escaped; lone surrogates are no text at all.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(report: ParityReport) -> str:
    """The report as a JUnit file.

    A check is a test case, a failed one a failure with its figures and where the difference
    starts; a provider that cannot run the model, or no check at all, is an error.
    """
    root = ET.Element("testsuites", name=_text(f"rnnport: {report.name} on {report.provider}"))
    for group in grouped(report.checks):
        _suite(root, group, report)
    if report.lacks:
        _errors(root, report, "cannot run", [(f"{x.form}: {x.op}", x.reason) for x in report.lacks])
    elif not report.checks:
        _errors(root, report, "nothing compared", [("checks", summary(report))])
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, 0)) for suite in root)))
    root.set("time", f"{report.seconds:.3f}")
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(root: ET.Element, group: Group, report: ParityReport) -> None:
    counts = {"tests": len(group.checks), "failures": len(group.failures), "errors": 0}
    suite = _open_suite(root, group.title, counts)
    for check in group.checks:
        case = _case(suite, report, group.title, place(check))
        if not check.passed:
            failure = ET.SubElement(case, "failure", message=_text(reason(check)), type="parity")
            failure.text = _text(_story(check, report))


def _story(check: Check, report: ParityReport) -> str:
    """The failure at length: why, where it starts, how to see it again."""
    starts = f"starts: {check.start}" if check.start else ""
    again = f"reproduce: {report.command}" if report.command else ""
    return "\n".join(filter(None, [reason(check), starts, again]))


def _errors(
    root: ET.Element, report: ParityReport, title: str, errors: list[tuple[str, str]]
) -> None:
    """A suite of what could not even be tried: name and reason of each."""
    counts = {"tests": len(errors), "failures": 0, "errors": len(errors)}
    suite = _open_suite(root, title, counts)
    for name, why in errors:
        case = _case(suite, report, title, name)
        ET.SubElement(case, "error", message=_text(why), type=title)


def _open_suite(root: ET.Element, title: str, counts: Mapping[str, int]) -> ET.Element:
    plain = {"name": _text(title), **{name: str(count) for name, count in counts.items()}}
    return ET.SubElement(root, "testsuite", plain)


def _case(suite: ET.Element, report: ParityReport, title: str, name: str) -> ET.Element:
    place = f"{report.name}.{report.provider}.{title}"
    return ET.SubElement(suite, "testcase", classname=_text(place), name=_text(name))


def _text(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
