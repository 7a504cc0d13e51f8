"""The backends by name. A new one is a file here, a line below and a test."""

from __future__ import annotations

from rnnport.runtime.backends.base import Backend
from rnnport.runtime.backends.cpu import Cpu
from rnnport.runtime.backends.cuda import Cuda
from rnnport.runtime.backends.openvino import OpenVino
from rnnport.runtime.backends.reference import Reference
from rnnport.runtime.backends.web import Web

__all__ = ["BACKENDS"]

_ALL: tuple[Backend, ...] = (Cpu(), Cuda(), OpenVino(), Web(), Reference())

BACKENDS: dict[str, Backend] = {backend.name: backend for backend in _ALL}
