"""The command line: parses, calls, prints. Heavy imports only inside the command that needs them."""

from harness.cli.app import app, main

__all__ = ["app", "main"]
