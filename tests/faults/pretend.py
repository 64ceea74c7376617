"""`harness` as another version of itself: `python -m tests.faults.pretend '{"harness": "9.9.9"}' run FILE ...`.

The first argument is a JSON object; its entries: `harness` (version), `torch` (version, as attempts record it),
`training_version`. Workers start from this module too (as `__mp_main__`), so they pretend the same.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

VARIABLE = "HARNESS_TESTS_PRETEND"


def pretend(versions: dict[str, Any]) -> None:
    """Puts other versions into the modules that record and compare them."""
    from harness.cli import explanation
    from harness.design import keys
    from harness.execution import machine, worker

    if "harness" in versions:
        for module in (explanation, machine, worker):
            module.__version__ = versions["harness"]  # type: ignore[attr-defined]
    if "torch" in versions:
        machine.torch.__version__ = versions["torch"]
    if "training_version" in versions:
        for other in (keys, worker):
            other.TRAINING_VERSION = versions["training_version"]  # type: ignore[attr-defined]


if __name__ == "__main__":
    os.environ[VARIABLE] = sys.argv.pop(1)

if VARIABLE in os.environ:
    pretend(json.loads(os.environ[VARIABLE]))

if __name__ == "__main__":
    from harness.cli import main

    main()
