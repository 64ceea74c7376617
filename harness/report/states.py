"""How runs stand, in a report's language."""

from __future__ import annotations

from harness.report.language import Language
from harness.store.status import RunState


def state_word(state: RunState, language: Language) -> str:
    """`complete`."""
    match state:
        case "pending":
            return language.say("pending")
        case "running":
            return language.say("running")
        case "interrupted":
            return language.say("interrupted")
        case "complete":
            return language.say("complete")
        case "diverged":
            return language.say("diverged")
        case "failed":
            return language.say("failed")


def counted_state(state: RunState, n: int, language: Language) -> str:
    """`2 complete`."""
    return language.say("{n} {state}", n=n, state=state_word(state, language))
