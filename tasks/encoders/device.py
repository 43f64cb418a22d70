"""What a network runs on: device, precision, threads, memory."""

import ctypes
import os
from contextlib import AbstractContextManager, suppress
from typing import Any, TypeVar

import torch
from torch import nn

from tasks.core.cpu import cores
from tasks.core.errors import DeepmineError

N = TypeVar("N", bound=nn.Module)

#: Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8


def place(network: N, device: torch.device) -> N:
    """``network`` on ``device``, its weights laid out channels_last, which convolutions of both CPU and GPU like."""
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def pick_device(name: str) -> torch.device:
    """`auto`, `cpu` or `cuda` as a device.

    Raises:
        DeepmineError: cuda was asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise DeepmineError("train.device: cuda was asked for, but torch sees no GPU. Use 'auto' or 'cpu'.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """`auto`, `float32` or `bfloat16`; auto is bfloat16 where the hardware multiplies it."""
    if name == "auto":
        fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else torch.cpu._is_avx512_bf16_supported()
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Mixed precision on ``device``, switched off for float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next tensor, where it is the C library.

    By default it hands large blocks back to the kernel, which must clear every page of them anew: half of the time
    of a small network's forward pass on a CPU.
    """
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        for option, value in ((M_MMAP_THRESHOLD, 1 << 28), (M_TRIM_THRESHOLD, 1 << 30), (M_ARENA_MAX, 1)):
            library.mallopt(option, value)


def fix_arithmetic() -> None:
    """What must not differ between two runs on one machine: threads, algorithms. And memory for tensors is kept."""
    keep_freed_memory()
    torch.set_num_threads(cores())
    torch.use_deterministic_algorithms(True, warn_only=True)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
