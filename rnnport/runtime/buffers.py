"""Memory that a session reads and writes: arrays on the host, or values that stay on a device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from rnnport.runtime.copied import CopiedBinding

__all__ = ["Binding", "DeviceMemory", "HostMemory", "Memory", "bind_session", "memory_for"]

Array = NDArray[Any]
# An Array or an onnxruntime.OrtValue.
Tensor = Any


class Memory(Protocol):
    """Where states live between runs.

    Attributes:
        sticky: what is bound once is read anew in every run.
    """

    sticky: bool

    def zeros(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Tensor:
        """Allocate a tensor of zeros."""

    def read(self, tensor: Tensor) -> Array:
        """Copy a tensor to the host."""

    def write(self, tensor: Tensor, array: Array) -> None:
        """Overwrite a tensor with an array of its shape and dtype."""

    def gather(self, tensor: Tensor, rows: NDArray[np.intp], into: Tensor) -> None:
        """Overwrite a tensor with rows of another one; not the same memory."""


class HostMemory:
    """NumPy arrays, bound by pointer."""

    sticky = True

    def zeros(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
        """Allocate an array of zeros."""
        return np.zeros(shape, dtype)

    def read(self, tensor: Array) -> Array:
        """Copy an array."""
        return tensor.copy()

    def write(self, tensor: Array, array: Array) -> None:
        """Overwrite an array."""
        tensor[...] = array

    def gather(self, tensor: Array, rows: NDArray[np.intp], into: Array) -> None:
        """Overwrite an array with rows of another one."""
        # With mode="raise" NumPy would go through a copy.
        np.take(tensor, rows, axis=0, out=into, mode="clip")


class DeviceMemory:
    """Values on a device, such as "cuda"; they come to the host only when read.

    Not sticky: onnxruntime copies an input to where its kernel wants it when it is bound, not when
    the session runs.
    """

    sticky = False

    def __init__(self, device: str) -> None:
        self._device = device

    def zeros(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Any:
        """Allocate an OrtValue of zeros."""
        value = ort.OrtValue.ortvalue_from_shape_and_type(list(shape), dtype, self._device, 0)
        value.update_inplace(np.zeros(shape, dtype))
        return value

    def read(self, tensor: Any) -> Array:
        """Copy a value to the host."""
        return np.array(tensor.numpy())

    def write(self, tensor: Any, array: Array) -> None:
        """Copy an array to the device."""
        tensor.update_inplace(np.ascontiguousarray(array))

    def gather(self, tensor: Any, rows: NDArray[np.intp], into: Any) -> None:
        """Overwrite a value with rows of another one; by way of the host."""
        into.update_inplace(np.ascontiguousarray(tensor.numpy()[rows]))


def memory_for(provider: str) -> Memory:
    """The memory in which a provider's sessions keep states."""
    return DeviceMemory(provider) if provider == "cuda" else HostMemory()


def bind_session(
    session: Any,
    inputs: Mapping[str, Tensor],
    outputs: Mapping[str, Tensor | None],
    *,
    sticky: bool,
) -> Binding | CopiedBinding:
    """Tie a session to its inputs and outputs, in the way its backend allows; see Binding."""
    if hasattr(session, "io_binding"):
        return Binding(session, inputs, outputs, sticky=sticky)
    return CopiedBinding(session, inputs, outputs)


class Binding:
    """A session's inputs and outputs, bound to tensors that are kept alive here.

    Args:
        session: an onnxruntime.InferenceSession.
        inputs: input name to tensor; arrays are C-contiguous.
        outputs: output name to the tensor to write, or None where onnxruntime shall allocate one,
            since its shape is not known beforehand. All outputs wanted, in order.
        sticky: whether binding once is enough; see Memory.
    """

    def __init__(
        self,
        session: Any,
        inputs: Mapping[str, Tensor],
        outputs: Mapping[str, Tensor | None],
        *,
        sticky: bool,
    ) -> None:
        self._session = session
        self._inputs, self._outputs = dict(inputs), dict(outputs)
        self._binding: Any = None
        # A tensor that onnxruntime allocated stays bound, and would fix the next run's shape.
        self._stays = sticky and all(tensor is not None for tensor in self._outputs.values())
        if self._stays:
            self._bind()

    def run(self) -> None:
        """Run the session once on what the inputs hold now."""
        if not self._stays:
            self._bind()
        self._session.run_with_iobinding(self._binding)

    def runner(self) -> Callable[[], None]:
        """What run does, with as little around it as may be."""
        if not self._stays:
            return self.run
        # onnxruntime's Python layer asks about WebGPU in every run, which takes a microsecond.
        session = getattr(self._session, "_sess", None)
        binding = getattr(self._binding, "_iobinding", None)
        if session is None or binding is None:
            return partial(self._session.run_with_iobinding, self._binding)
        return partial(session.run_with_iobinding, binding, None)

    def pointer(
        self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]
    ) -> Callable[[int], None]:
        """What lets an input of the host be read from an address; its caller keeps it alive.

        Args:
            name: of the input.
            dtype: of what lies there.
            shape: likewise, C-contiguous.
        """
        # onnxruntime's Python layer makes a device anew each time, and asks about WebGPU.
        inner = getattr(self._binding, "_iobinding", None)
        make = getattr(ort.OrtDevice.make("cpu", 0), "_get_c_device", None)
        if inner is None or make is None:
            return partial(self._binding.bind_input, name, "cpu", 0, dtype, shape)
        return partial(inner.bind_input, name, make(), dtype, shape)

    def allocated(self) -> dict[str, Array]:
        """The outputs that onnxruntime allocated in the last run, on the host."""
        found = zip(self._outputs.items(), self._binding.get_outputs(), strict=True)
        return {name: np.array(value.numpy()) for (name, own), value in found if own is None}

    def _bind(self) -> None:
        self._binding = self._session.io_binding()
        for name, tensor in self._inputs.items():
            self._bind_input(name, tensor)
        for name, tensor in self._outputs.items():
            self._bind_output(name, tensor)

    def _bind_input(self, name: str, tensor: Tensor) -> None:
        if isinstance(tensor, np.ndarray):
            pointer = tensor.__array_interface__["data"][0]
            self._binding.bind_input(name, "cpu", 0, tensor.dtype, tensor.shape, pointer)
        else:
            self._binding.bind_ortvalue_input(name, tensor)

    def _bind_output(self, name: str, tensor: Tensor | None) -> None:
        if tensor is None:
            self._binding.bind_output(name, "cpu")
        elif isinstance(tensor, np.ndarray):
            pointer = tensor.__array_interface__["data"][0]
            self._binding.bind_output(name, "cpu", 0, tensor.dtype, tensor.shape, pointer)
        else:
            self._binding.bind_ortvalue_output(name, tensor)
