"""What a Content-Security-Policy needs to know of a page's own style and script. Imports nothing heavy."""

from __future__ import annotations

import base64
import hashlib


def source_hash(source: str) -> str:
    """What a policy knows an inline style or script by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"
