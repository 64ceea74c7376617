"""How torch and what is below it say that memory ran out."""

from __future__ import annotations

import torch

_WORDS = ("can't allocate memory", "out of memory", "bad_alloc", "bad allocation", "ALLOC_FAILED")
"""In RuntimeErrors: of torch's CPU allocator, CUDA, C++ on Linux and on Windows, CUDA's libraries."""


def says_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _WORDS)
