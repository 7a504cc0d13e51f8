from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import msgspec

from rnnport.parity.junit import junit_xml
from rnnport.parity.report import ParityReport
from tests.parity import reports


def test_one_suite_a_kind_and_one_case_a_check() -> None:
    root = ET.fromstring(junit_xml(reports.passed()))
    assert root.attrib == {
        "name": "rnnport: sleep-staging on cpu",
        "tests": "72",
        "failures": "0",
        "errors": "0",
        "time": "41.270",
    }
    suites = [(s.get("name"), s.get("tests"), len(s)) for s in root]
    assert suites[:3] == [("shapes", "10", 10), ("masks", "20", 20), ("scale", "4", 4)]
    assert len(suites) == 13
    assert root[0][0].attrib == {
        "classname": "sleep-staging.cpu.shapes",
        "name": "B=1 T=1, output stage",
    }
    assert not list(root.iter("failure"))


def test_a_failure_says_why_where_and_how_to_see_it_again() -> None:
    root = ET.fromstring(junit_xml(reports.failed()))
    assert "".join(s.get("failures", "") for s in root) == "1300000010001"
    assert root.get("failures") == "6"
    lost, first = list(root.iter("failure"))[:2]
    assert lost.get("message", "").startswith("nothing was compared: InvalidArgument")
    assert first.get("message") == "max abs error 4.1e-02, bound 1.0e-05 (4100 × its bound)"
    assert (first.text or "").splitlines() == [
        "max abs error 4.1e-02, bound 1.0e-05 (4100 × its bound)",
        "starts: row 2, step 7 of 23, the first masked step: 4.1e-02",
        f"reproduce: {reports.COMMAND}",
    ]


def test_what_could_not_be_tried_is_an_error() -> None:
    root = ET.fromstring(junit_xml(reports.lacking()))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("2", "0", "2")
    assert [(e.get("type"), e.get("message")) for e in root.iter("error")] == [
        ("cannot run", "ignores sequence_lens without an error"),
        ("cannot run", "no Scan with an open number of steps"),
    ]
    nothing = ET.fromstring(junit_xml(ParityReport("m", "cpu", ())))
    assert [e.get("message") for e in nothing.iter("error")] == [
        "Nothing was compared, and so nothing is proven."
    ]


def test_names_that_xml_cannot_hold() -> None:
    report = reports.small()
    odd = msgspec.structs.replace(report.checks[0], name="a\x00b\x1b[31m\ud800<&>]]>")
    root = ET.fromstring(junit_xml(replace(report, checks=(odd,), name="\x07")))
    assert root[0][0].get("name") == "a\ufffdb\ufffd[31m\ufffd<&>]]>, output y"
    assert ET.fromstring(junit_xml(reports.hostile())).get("failures") == "7"
