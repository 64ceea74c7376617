"""Whether a PNG is whole, told without decoding it (PNG specification, third edition, section 5)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHECKPOINT_TEXT = "harness:checkpoint_sha256"
"""The text chunk of a sample grid that names the checkpoint it was drawn from."""


class _Broken(Exception):
    """The bytes are not those of a whole PNG."""


def picture_damage(content: bytes, checkpoint_sha256: str) -> str | None:
    """What is wrong with a checkpoint's sample grid; None where it is whole and names that checkpoint."""
    try:
        texts = dict(_texts(content))
    except _Broken as error:
        return str(error)
    if texts.get(CHECKPOINT_TEXT) != checkpoint_sha256:
        return "the picture was not drawn from this checkpoint"
    return None


def picture_texts(content: bytes) -> dict[str, str] | None:
    """Every Latin text of a PNG by its keyword; None where the bytes are those of no whole PNG."""
    try:
        return dict(_texts(content))
    except _Broken:
        return None


def _texts(content: bytes) -> Iterator[tuple[str, str]]:
    """Keyword and text of every tEXt chunk, after each chunk's CRC was compared."""
    names = []
    for name, data in _chunks(content):
        names.append(name)
        if name == b"tEXt":
            keyword, _, text = data.partition(b"\0")
            yield keyword.decode("latin-1"), text.decode("latin-1")
    if names[:1] != [b"IHDR"] or names[-1:] != [b"IEND"] or b"IDAT" not in names:
        raise _Broken("the picture is not whole")


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not content.startswith(SIGNATURE):
        raise _Broken("the file is no PNG")
    at = len(SIGNATURE)
    while at < len(content):
        length, name = struct.unpack_from(">I4s", content.ljust(at + 8, b"\0"), at)
        end = at + 12 + length
        if end > len(content):
            raise _Broken("the picture is not whole")
        data = content[at + 8 : end - 4]
        if zlib.crc32(name + data) != int.from_bytes(content[end - 4 : end], "big"):
            raise _Broken("a part of the picture does not match its CRC-32")
        yield name, data
        at = end
