"""The command line, projecting every fraction of a second: `python -m tests.faults.eager run FILE`.

Workers import it again, and then only train.
"""

from __future__ import annotations

from harness.cli import tracker
from harness.cli.app import main

INTERVAL_S = 0.3

if __name__ == "__main__":
    tracker.INTERVAL_S = INTERVAL_S
    main()
