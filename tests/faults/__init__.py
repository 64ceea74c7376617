"""Faults done on purpose to real experiments, and the count of what was lost: `python -m tests.faults --help`."""
