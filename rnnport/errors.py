"""The exception tree, one for all rooms.

    RnnportError
    ├── UsageError              a call or an input that cannot be right
    │   ├── InputError          an array handed to a Runner: name, rank, shape or dtype
    │   ├── StreamError         an id that is unknown, closed or given twice; a closed front
    │   │   └── PoolFull        as many streams are open as the pool's capacity allows
    │   ├── SnapshotRefused     bytes that are damaged, or of another model, version or batch size
    │   ├── UnknownProvider     a provider name rnnport does not know
    │   └── NotYetAvailable     a documented keyword whose implementation has not landed
    ├── ModelError              the model handed to export
    │   ├── ModelFileError      missing, unreadable or damaged model file
    │   ├── MissingSignature    shapes or dtypes of the inputs cannot be known
    │   ├── UnsupportedModel    a construct that cannot be exported; lists every reason
    │   └── ConversionError     TensorFlow or tf2onnx failed while tracing or converting
    ├── ArtifactError           the folder on disk
    │   ├── ArtifactExists      the target folder is there and not empty
    │   ├── ArtifactDamaged     hash, schema, path or content that does not fit
    │   └── SaveFailed          the file system refused; the target is as it was
    ├── ProviderUnavailable     a provider asked for by name that cannot run here
    │   └── ProviderLacks       it runs, but not this graph, or not rightly: names the operators
    ├── NotStreamable           the model looks ahead, so it has no step form
    ├── NotGenerative           nothing in the model can be fed its own output
    └── ParityError             ONNX and TensorFlow do not agree

Every message says four things: subject, received, expected, remedy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

__all__ = [
    "ArtifactDamaged",
    "ArtifactError",
    "ArtifactExists",
    "ConversionError",
    "InputError",
    "MissingSignature",
    "ModelError",
    "ModelFileError",
    "NotGenerative",
    "NotStreamable",
    "NotYetAvailable",
    "ParityError",
    "PoolFull",
    "ProviderLacks",
    "ProviderUnavailable",
    "Reason",
    "RnnportError",
    "SaveFailed",
    "SnapshotRefused",
    "StreamError",
    "UnknownProvider",
    "UnsupportedModel",
    "UsageError",
]


@dataclass(frozen=True)
class Reason:
    """One refusal: what it is about, what came, what was wanted, what to do."""

    subject: str
    received: str
    expected: str
    remedy: str

    def __str__(self) -> str:
        return (
            f"{self.subject} | received: {self.received} | "
            f"expected: {self.expected} | remedy: {self.remedy}"
        )


class RnnportError(Exception):
    """Base of all rnnport errors; carries one or more reasons.

    Args:
        reasons: every reason collected before the refusal, at least one.
    """

    def __init__(self, *reasons: Reason) -> None:
        self.reasons = reasons
        super().__init__("\n".join(str(reason) for reason in reasons))

    @classmethod
    def of(cls, subject: str, received: object, expected: str, remedy: str) -> Self:
        """Build the error from a single reason's four parts."""
        return cls(Reason(subject, str(received), expected, remedy))


class UsageError(RnnportError):
    """A call or an input that cannot be right."""


class InputError(UsageError):
    """An array whose name, rank, shape or dtype does not fit the model."""


class StreamError(UsageError):
    """A stream that cannot be meant: unknown, closed, or given twice in one call."""


class PoolFull(StreamError):
    """As many streams are open as the pool's capacity allows."""


class SnapshotRefused(UsageError):
    """A snapshot that is damaged, or of another model, version or batch size."""


class UnknownProvider(UsageError):
    """A provider name rnnport does not know."""


class NotYetAvailable(UsageError):
    """A documented keyword whose implementation has not landed."""


class ModelError(RnnportError):
    """The model handed to export."""


class ModelFileError(ModelError):
    """A missing, unreadable or damaged model file."""


class MissingSignature(ModelError):
    """Shapes or dtypes of the model's inputs cannot be known."""


class UnsupportedModel(ModelError):
    """A construct that cannot be exported; lists every reason."""


class ConversionError(ModelError):
    """TensorFlow or tf2onnx failed while tracing or converting."""


class ArtifactError(RnnportError):
    """The artifact folder on disk."""


class ArtifactExists(ArtifactError):
    """The target folder is there and not empty."""


class ArtifactDamaged(ArtifactError):
    """A hash, schema version, path or content that does not fit."""


class SaveFailed(ArtifactError):
    """The file system refused; the target is as it was."""


class ProviderUnavailable(RnnportError):
    """A provider asked for by name that cannot run on this machine."""


class ProviderLacks(ProviderUnavailable):
    """A graph with operators that the provider does not run, or runs wrong; names each."""


class NotStreamable(RnnportError):
    """The model looks ahead, so it has no step form."""


class NotGenerative(RnnportError):
    """Nothing in the model can be fed its own output, step after step."""


class ParityError(RnnportError):
    """ONNX and TensorFlow do not agree."""
