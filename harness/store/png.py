"""Whether a PNG is whole, told without decoding it (PNG specification, third edition, section 5)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHECKPOINT_TEXT = "harness:checkpoint_sha256"
"""The text chunk of a sample grid that names the checkpoint it was drawn from."""
MOST_TEXT = 64 * 2**20
"""Bytes of one text, as long as a picture of any report can have."""


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


def damage(content: bytes) -> str | None:
    """Why the bytes are those of no whole PNG; None where they are."""
    try:
        for _ in _texts(content):
            pass
    except _Broken as error:
        return str(error)
    return None


def picture_texts(content: bytes) -> dict[str, str] | None:
    """Every text of a PNG by its keyword; None where the bytes are those of no whole PNG."""
    try:
        return dict(_texts(content))
    except _Broken:
        return None


def _texts(content: bytes) -> Iterator[tuple[str, str]]:
    """Keyword and text of every chunk of text, after each chunk's CRC was compared."""
    names = []
    for name, data in _chunks(content):
        names.append(name)
        if name in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, _, rest = data.partition(b"\0")
            yield keyword.decode("latin-1"), _text(name, rest)
    if names[:1] != [b"IHDR"] or names[-1:] != [b"IEND"] or b"IDAT" not in names:
        raise _Broken("the picture is not whole")


def _text(name: bytes, data: bytes) -> str:
    """The text behind a chunk's keyword."""
    if name == b"tEXt":
        return data.decode("latin-1")
    if name == b"zTXt":
        return _inflated(data[1:]).decode("latin-1")
    is_compressed, rest = data[:1] == b"\1", data[2:]
    _, _, rest = rest.partition(b"\0")  # language
    _, _, rest = rest.partition(b"\0")  # the keyword in that language
    return (_inflated(rest) if is_compressed else rest).decode("utf-8", "replace")


def _inflated(data: bytes) -> bytes:
    """zlib data as it was; refused where it is damaged or would not end."""
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(data, MOST_TEXT)
    except zlib.error:
        raise _Broken("a text of the picture is damaged") from None
    if not stream.eof:
        raise _Broken("a text of the picture is cut or too long")
    return text


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
