"""How a command ends: exit codes, errors as panels or JSON, never a traceback for a refusal."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from rnnport.errors import ParityError, Reason, RnnportError

__all__ = [
    "EXIT_CODES",
    "INTERRUPTED",
    "OK",
    "PARITY_FAILED",
    "REFUSED",
    "finish",
    "outcome",
    "print_json",
]

OK, PARITY_FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130
EXIT_CODES = "Exit codes: 0 ok, 1 parity failed, 2 usage, bad input or cannot run, 130 interrupted."


@contextlib.contextmanager
def outcome(as_json: bool) -> Iterator[None]:
    """Turn refusals into a message and an exit code.

    Args:
        as_json: print {"error": [...]} on stdout instead of a panel on stderr.

    Raises:
        SystemExit: in place of every RnnportError and of Ctrl-C.
    """
    try:
        yield
    except RnnportError as error:
        show_error(error, as_json)
        finish(PARITY_FAILED if isinstance(error, ParityError) else REFUSED)
    except KeyboardInterrupt:
        finish(INTERRUPTED)


def finish(code: int) -> NoReturn:
    """Leave the command with an exit code."""
    raise SystemExit(code) from None


def show_error(error: RnnportError, as_json: bool) -> None:
    """Print an error's reasons."""
    if as_json:
        print_json({"error": [_plain(reason) for reason in error.reasons], "kind": _kind(error)})
        return
    from rnnport.cli.show import error_panel, stderr

    stderr().print(error_panel(_kind(error), error.reasons))


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _plain(reason: Reason) -> dict[str, str]:
    return {
        "subject": reason.subject,
        "received": reason.received,
        "expected": reason.expected,
        "remedy": reason.remedy,
    }


def _kind(error: RnnportError) -> str:
    return type(error).__name__
