"""The diagnosis of one run in short lines for a panel of a figure: the rule, the value and its limit."""

from __future__ import annotations

from harness.analysis.diagnosis import ACCURACY, LOSS, NEAREST_RATIO, NEAREST_SHARE, RATIO, VANISHING, Finding, Rule
from harness.analysis.oscillation import CHANCE
from harness.report.language import Language
from harness.report.markdown import number


def panel_lines(findings: tuple[Finding, ...], language: Language) -> tuple[str, ...]:
    """One run's findings as short lines, each with a mark: ✗ the symptom is there, ✓ it is not, ? not known."""
    return tuple(_line(finding, language) for finding in findings)


def _line(finding: Finding, language: Language) -> str:
    if finding.holds is None:
        if finding.rule == "mode collapse" and finding.evidence:
            return language.say("? classes: no verdict, Precision {v:.2f}", v=finding.evidence[0][1])
        return language.say("? {rule}: not known", rule=_rule_name(finding.rule, language))
    return _ill(finding, language) if finding.holds else _well(finding, language)


def _well(finding: Finding, language: Language) -> str:
    say, v = language.say, dict(finding.evidence)
    match finding.rule:
        case "loss ratio":
            return say("✓ G/D {v} ({low:g}–{high:g})", v=_ratio(finding), low=RATIO[0], high=RATIO[1])
        case "accuracies":
            return say(
                "✓ accuracy real {real:.2f}, generated {fake:.2f} ({low:g}–{high:g})",
                real=v["accuracy real"], fake=v["accuracy fake"], low=ACCURACY[0], high=ACCURACY[1],
            )  # fmt: skip
        case "loss range":
            return say(
                "✓ losses G {g:.2f}, D {d:.2f} ({low:g}–{high:g})",
                g=v["G loss"], d=v["D loss"], low=LOSS[0], high=LOSS[1],
            )  # fmt: skip
        case "vanishing gradient":
            limit = v["least D loss"] + VANISHING
            return say("✓ gradient alive: D's loss {d:.2f} (symptom below {limit:.2f})", d=v["D loss"], limit=limit)
        case "oscillation":
            return say("✓ no oscillation (p = {p:.2f}; symptom at ≤ {limit:g})", p=v["chance"], limit=CHANCE)
        case "mode collapse":
            return say("✓ classes: {n:.0f} of {judged:.0f}", n=v["classes there"], judged=v["classes judged"])
        case "memorization" if "1-NN ratio" in v:
            ratio = number(v["1-NN ratio"], 2)
            return say("✓ no copies: 1-NN ratio {v} (symptom below {limit:g})", v=ratio, limit=NEAREST_RATIO)
        case "memorization":
            share = number(v["nearer than real"], 2)
            return say("✓ no copies: nearer than real {v} (symptom above {limit:g})", v=share, limit=NEAREST_SHARE)
        case "progress":
            first, last = number(v["first FID"], 3), number(v["last FID"], 3)
            return say("✓ FID does not stand still: {first} → {last}", first=first, last=last)


def _ill(finding: Finding, language: Language) -> str:
    say, v = language.say, dict(finding.evidence)
    match finding.rule:
        case "loss ratio" if finding.symptom == "generator ahead":
            return say("✗ G/D {v}: G ahead ({low:g}–{high:g})", v=_ratio(finding), low=RATIO[0], high=RATIO[1])
        case "loss ratio":
            return say("✗ G/D {v}: D ahead ({low:g}–{high:g})", v=_ratio(finding), low=RATIO[0], high=RATIO[1])
        case "accuracies":
            return _accuracies(finding, language)
        case "loss range":
            return _losses(v["G loss"], v["D loss"], language)
        case "vanishing gradient":
            limit = v["least D loss"] + VANISHING
            return say("✗ gradient vanishes: D's loss {d:.3f}, below {limit:.2f}", d=v["D loss"], limit=limit)
        case "oscillation":
            return say("✗ oscillation, period {n:.0f} steps (p = {p:.3f})", n=v["period"], p=v["chance"])
        case "mode collapse" if 2 * v["classes there"] < v["classes judged"]:
            return say(
                "✗ classes: {n:.0f} of {judged:.0f}, collapsed", n=v["classes there"], judged=v["classes judged"]
            )
        case "mode collapse":
            there, judged = v["classes there"], v["classes judged"]
            return say("✗ classes: {n:.0f} of {judged:.0f}, classes missing", n=there, judged=judged)
        case "memorization" if v.get("1-NN ratio", 1.0) < NEAREST_RATIO:
            return say("✗ copies: 1-NN ratio {v}, below {limit:g}", v=number(v["1-NN ratio"], 2), limit=NEAREST_RATIO)
        case "memorization":
            share = number(v["nearer than real"], 2)
            return say("✗ copies: nearer than real {v}, above {limit:g}", v=share, limit=NEAREST_SHARE)
        case "progress":
            first, last = number(v["first FID"], 3), number(v["last FID"], 3)
            return say("✗ FID hardly changes: {first} → {last}", first=first, last=last)


def _accuracies(finding: Finding, language: Language) -> str:
    found = dict(finding.evidence)
    shown = {"real": found["accuracy real"], "fake": found["accuracy fake"]}
    match finding.symptom:
        case "too good at real":
            return language.say("✗ accuracy real {real:.2f}, generated {fake:.2f}: D too good at real images", **shown)
        case "too good at fake":
            return language.say(
                "✗ accuracy real {real:.2f}, generated {fake:.2f}: D too good at generated images", **shown
            )
        case _:
            return language.say("✗ accuracy real {real:.2f}, generated {fake:.2f}: D too weak", **shown)


def _losses(generator: float, discriminator: float, language: Language) -> str:
    """Which of both losses is outside."""
    low, high = LOSS
    shown = {"g": generator, "d": discriminator, "low": low, "high": high}
    if low < generator < high:
        return language.say("✗ losses G {g:.2f}, D {d:.2f}: D outside {low:g}–{high:g}", **shown)
    if low < discriminator < high:
        return language.say("✗ losses G {g:.2f}, D {d:.2f}: G outside {low:g}–{high:g}", **shown)
    return language.say("✗ losses G {g:.2f}, D {d:.2f}: both outside {low:g}–{high:g}", **shown)


def _ratio(finding: Finding) -> str:
    ratio = dict(finding.evidence).get("G/D")
    return "∞" if ratio is None else number(ratio, 2)


def _rule_name(rule: Rule, language: Language) -> str:
    say = language.say
    match rule:
        case "loss ratio":
            return "G/D"
        case "accuracies":
            return say("accuracies")
        case "loss range":
            return say("losses")
        case "vanishing gradient":
            return say("vanishing gradient")
        case "oscillation":
            return say("oscillation")
        case "mode collapse":
            return say("classes")
        case "memorization":
            return say("copies")
        case "progress":
            return say("change of FID")
