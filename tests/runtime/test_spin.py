"""What load is told about threads reaches every session that a runner opens."""

from __future__ import annotations

from typing import Any

import pytest

import rnnport
from tests.runtime import seq2seq, streams


def spinning(session: Any) -> str:
    options = session.get_session_options()
    return str(options.get_session_config_entry("session.intra_op.allow_spinning"))


@pytest.mark.parametrize(("spin", "entry"), [(None, "1"), (True, "1"), (False, "0")])
def test_every_session(spin: bool | None, entry: str) -> None:
    runner = rnnport.load(streams.folder("lstm"), provider="cpu", threads=2, spin=spin)
    stepper = runner.stepper(20)
    assert [spinning(s) for s in (runner._session, stepper._session)] == [entry, entry]
    runner = rnnport.load(seq2seq.folder("lstm"), provider="cpu", threads=2, spin=spin)
    assert spinning(runner._sessions("decoder").session(1)) == entry


def test_a_spin_that_makes_no_sense() -> None:
    with pytest.raises(rnnport.errors.UsageError) as caught:
        rnnport.load(streams.folder("lstm"), spin="no")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "spin | received: 'no' | expected: True, False or None | "
        "remedy: pass False to leave the cores to others"
    )
