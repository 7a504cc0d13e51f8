"""Read lines, answer each, until they end or somebody says stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import BinaryIO

from rnnport.cli.stream_desk import Desk
from rnnport.cli.stream_lines import Line, Name, Source, arrived, read_line, refusal, result
from rnnport.errors import RnnportError

__all__ = ["Stop", "Tally", "answer_all", "listening"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Tally:
    """What came of the lines.

    Attributes:
        line: number of the last line that was answered.
        answered: lines done.
        refused: lines that could not be done.
        stopped: whether it ended before its input did.
    """

    line: int = 0
    answered: int = 0
    refused: int = 0
    stopped: bool = False


class Stop:
    """Ctrl-C and SIGTERM: heard at once while waiting for lines, else after the line at hand.

    So no step is taken whose answer is not written.
    """

    def __init__(self) -> None:
        self.asked = False
        self._waiting = False

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        self.asked = True
        if self._waiting:
            raise KeyboardInterrupt

    def wait(self, source: Source, size: int) -> bytes:
        """Read what is there; KeyboardInterrupt on a signal, or where one was heard before."""
        self._waiting = True
        try:
            if self.asked:
                raise KeyboardInterrupt
            return source.read1(size)
        finally:
            self._waiting = False


@contextmanager
def listening() -> Iterator[Stop]:
    """Hear signals instead of being ended by them."""
    stop = Stop()
    before = {number: signal.signal(number, stop.hear) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def answer_all(desk: Desk, source: Source, sink: BinaryIO, batch: int, stop: Stop) -> Tally:
    """Answer every line of the source, in order; each answer is flushed before the next line.

    Args:
        desk: what does the lines.
        source: where lines come from.
        sink: where answers go.
        batch: how many waiting lines may be done at once.
        stop: ends it early.
    """
    tally, number = Tally(), 0
    try:
        for lines in arrived(lambda size: stop.wait(source, size)):
            numbered = [(number + i, line) for i, line in enumerate(lines, 1)]
            number += len(lines)
            for last, answers in _answers(desk, numbered, batch, tally):
                sink.write(answers)
                sink.flush()
                tally.line = last
                if stop.asked:
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        tally.stopped = True
    except BrokenPipeError:
        tally.stopped = True
        _write_nowhere(sink)
    return tally


def _answers(
    desk: Desk, lines: list[tuple[int, bytes]], batch: int, tally: Tally
) -> Iterator[tuple[int, bytes]]:
    """The number of the last line done, and the answers since."""
    together: dict[Name, tuple[int, Line]] = {}
    for number, text in lines:
        if not text.strip():
            continue
        try:
            line = read_line(text)
        except RnnportError as error:
            yield from _join(desk, together, tally)
            tally.refused += 1
            yield number, refusal(number, error)
            continue
        joins = batch > 1 and desk.may_join(line)
        if not joins or line.id in together or len(together) == batch:
            yield from _join(desk, together, tally)
        if joins:
            together[line.id] = number, line
        else:
            yield number, _answer(desk, number, line, tally)
    yield from _join(desk, together, tally)


def _join(
    desk: Desk, together: dict[Name, tuple[int, Line]], tally: Tally
) -> Iterator[tuple[int, bytes]]:
    """Answer the lines put together, and forget them."""
    group = list(together.values())
    together.clear()
    if len(group) > 1:
        try:
            outputs = desk.answer_together([line for _, line in group])
        except RnnportError:
            pass  # one by one, to find out which of them it is
        else:
            tally.answered += len(group)
            answers = (result(line, y) for (_, line), y in zip(group, outputs, strict=True))
            yield group[-1][0], b"".join(answers)
            return
    for number, line in group:
        yield number, _answer(desk, number, line, tally)


def _answer(desk: Desk, number: int, line: Line, tally: Tally) -> bytes:
    try:
        answer = result(line, desk.answer(line))
    except RnnportError as error:
        tally.refused += 1
        return refusal(number, error)
    tally.answered += 1
    return answer


def _write_nowhere(sink: BinaryIO) -> None:
    """Nobody reads any more; what Python flushes on its way out shall not fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sink.fileno())
    os.close(nowhere)
