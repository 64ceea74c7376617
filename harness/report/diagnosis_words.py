"""The diagnosis in words: symptoms, evidence, remedies and rules, for text and for panels of figures."""

from __future__ import annotations

from harness.analysis.diagnosis import (
    ACCURACY,
    LAST_STEPS,
    LOSS,
    NEAREST_RATIO,
    NEAREST_SHARE,
    RATIO,
    VANISHING,
    Finding,
    Quantity,
    Rule,
)
from harness.analysis.remedies import Remedy, Symptom
from harness.report.language import Language
from harness.report.markdown import number


def symptom_text(symptom: Symptom, language: Language) -> str:
    """A symptom at the beginning of a sentence."""
    say = language.say
    match symptom:
        case "discriminator ahead":
            return say("The discriminator is ahead")
        case "generator ahead":
            return say("The generator is ahead")
        case "too good at real":
            return say("The discriminator is too good at real images")
        case "too good at fake":
            return say("The discriminator is too good at generated images")
        case "too weak":
            return say("The discriminator is too weak")
        case "losses out of range":
            return say("Losses are out of range")
        case "vanishing gradient":
            return say("The gradient vanishes")
        case "oscillation":
            return say("Losses oscillate")
        case "mode collapse":
            return say("Modes are missing")
        case "memorization":
            return say("Training images are memorized")


def evidence_text(finding: Finding, language: Language) -> str:
    """The numbers that a rule saw: `G/D 3.41, G's loss 1.9`."""
    return language.listed(_quantity(name, value, language) for name, value in finding.evidence)


def _quantity(name: Quantity, value: float, language: Language) -> str:
    say, v = language.say, number(value, 4)
    match name:
        case "G/D":
            return say("G/D {v}", v=v)
        case "G loss":
            return say("G's loss {v}", v=v)
        case "D loss":
            return say("D's loss per term {v}", v=v)
        case "accuracy real":
            return say("accuracy {v} on real images", v=v)
        case "accuracy fake":
            return say("accuracy {v} on generated images", v=v)
        case "least D loss":
            return say("the least that its labels allow {v}", v=v)
        case "period":
            return say("period of {v:.0f} steps", v=value)
        case "share of variance":
            return say("{v:.0f} % of the variance", v=100 * value)
        case "chance":
            return say("chance {v}", v=v)
        case "classes there":
            return say("{v:.0f} classes there", v=value)
        case "classes judged":
            return say("of {v:.0f} judged", v=value)
        case "largest share":
            return say("largest share {v:.0f} %", v=100 * value)
        case "1-NN ratio":
            return say("1-NN ratio {v}", v=v)
        case "nearer than real":
            return say("share nearer than real images {v}", v=v)
        case "1-NN ratio of real":
            return say("1-NN ratio of real images {v}", v=v)
        case "nearer than real of real":
            return say("that share of real images {v}", v=v)


def symptom_name(symptom: Symptom, language: Language) -> str:
    """A symptom in a list."""
    say = language.say
    match symptom:
        case "discriminator ahead":
            return say("discriminator ahead")
        case "generator ahead":
            return say("generator ahead")
        case "too good at real":
            return say("discriminator too good at real images")
        case "too good at fake":
            return say("discriminator too good at generated images")
        case "too weak":
            return say("discriminator too weak")
        case "losses out of range":
            return say("losses out of range")
        case "vanishing gradient":
            return say("vanishing gradient")
        case "oscillation":
            return say("oscillating losses")
        case "mode collapse":
            return say("missing modes")
        case "memorization":
            return say("memorized training images")


def remedy_text(remedy: Remedy, language: Language) -> str:
    say = language.say
    match remedy.name:
        case "slower discriminator":
            return say("slower discriminator")
        case "weaker discriminator":
            return say("weaker discriminator")
        case "more dropout in the discriminator":
            return say("more dropout in the discriminator")
        case "stronger discriminator":
            return say("stronger discriminator")
        case "more updates of the discriminator":
            return say("more updates of the discriminator")
        case "slower generator":
            return say("slower generator")
        case "lower learning rates":
            return say("lower learning rates")
        case "falling learning rates":
            return say("falling learning rates")
        case "larger batch":
            return say("larger batch")
        case "label smoothing":
            return say("label smoothing")
        case "larger latent vector":
            return say("larger latent vector")
        case "noise on images":
            return say("noise on all images")
        case "WGAN loss":
            return say("Wasserstein loss")
        case "all images":
            return say("all training images")


def rules_text(language: Language) -> str:
    """By which rules runs are diagnosed."""
    return language.paragraph(
        language.say(
            "Three rules of thumb judge the means over the last {steps} steps, with D's loss per term: {low:g} < G/D "
            "< {high:g}; both accuracies between {least:g} and {most:g}, else the discriminator is too good at real "
            "images (more than {most:g} of them right), or else too good at generated ones, or else too weak; both "
            "losses between {bottom:g} and {top:g} nats. They are custom, made for the cross entropy on small images; "
            "a healthy run may break them.",
            steps=LAST_STEPS, low=RATIO[0], high=RATIO[1], least=ACCURACY[0], most=ACCURACY[1],
            bottom=LOSS[0], top=LOSS[1],
        ),
        language.say(
            "The gradient counts as vanishing where D's loss is less than {vanishing:g} nats above the least that its "
            "labels allow. Losses oscillate where G − D, over the last three quarters of training, has a periodic "
            "swing that noise of the same memory would have in one of 100 cases or fewer, with at least 30 % of the "
            "variance. Modes are missing where the verdict on classes says so. Images count as memorized where the "
            "1-NN ratio is below {ratio:g} or more than {share:.0f} % of them are nearer to a training image than 95 "
            "% of training images are to each other. A dash: no run has what the rule needs.",
            vanishing=VANISHING, ratio=NEAREST_RATIO, share=100 * NEAREST_SHARE,
        ),
    )  # fmt: skip


def panel_lines(findings: tuple[Finding, ...], language: Language) -> tuple[str, ...]:
    """One run's findings as short lines, each with a mark: there, not there, not known."""
    return tuple(_panel_line(finding, language) for finding in findings)


def _panel_line(finding: Finding, language: Language) -> str:
    say = language.say
    if finding.holds is None:
        return say("? {rule}: not known", rule=_rule_name(finding.rule, language))
    told = _seen(finding, language)
    if finding.holds and finding.symptom:
        return say("✗ {seen}: {symptom}", seen=told, symptom=_short(finding.symptom, language))
    return say("✓ {seen}", seen=told)


def _seen(finding: Finding, language: Language) -> str:
    """The numbers that a rule saw, in a line of a panel."""
    say = language.say
    v = {name: f"{value:.3g}" for name, value in finding.evidence}
    match finding.rule:
        case "loss ratio":
            return say("G/D {v}", v=v.get("G/D", "∞"))
        case "accuracies":
            return say("accuracies {real}, {fake}", real=v["accuracy real"], fake=v["accuracy fake"])
        case "loss range":
            return say("losses {g} G, {d} D", g=v["G loss"], d=v["D loss"])
        case "vanishing gradient":
            return say("D's loss {d}, at least {least}", d=v["D loss"], least=v["least D loss"])
        case "oscillation":
            return say("periodic by chance {v}", v=v["chance"])
        case "mode collapse":
            return say("{there} of {judged} classes", there=v["classes there"], judged=v["classes judged"])
        case "memorization" if "1-NN ratio" in v:
            return say("1-NN ratio {v}", v=v["1-NN ratio"])
        case "memorization":
            return say("nearer than real {v}", v=v["nearer than real"])


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
            return say("mode collapse")
        case "memorization":
            return say("memorization")


def _short(symptom: Symptom, language: Language) -> str:
    """A symptom in a line of a panel."""
    say = language.say
    match symptom:
        case "discriminator ahead":
            return say("D ahead")
        case "generator ahead":
            return say("G ahead")
        case "too good at real":
            return say("too good at real")
        case "too good at fake":
            return say("too good at fake")
        case "too weak":
            return say("D too weak")
        case "losses out of range":
            return say("out of range")
        case "vanishing gradient":
            return say("vanishing gradient")
        case "oscillation":
            return say("oscillation")
        case "mode collapse":
            return say("mode collapse")
        case "memorization":
            return say("memorization")
