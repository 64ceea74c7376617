"""The diagnosis in words: symptoms, evidence, remedies and rules."""

from __future__ import annotations

from harness.analysis.curves import LAST_STEPS
from harness.analysis.diagnosis import (
    ACCURACY,
    FAR,
    LOSS,
    NEAREST_RATIO,
    NEAREST_SHARE,
    PROGRESS,
    RATIO,
    VANISHING,
    Finding,
)
from harness.analysis.remedies import RemedyName, Symptom
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
            return say("Classes are missing")
        case "memorization":
            return say("Training images are memorized")
        case "no progress":
            return say("FID hardly changes over the checkpoints")


def evidence_text(finding: Finding, language: Language) -> str:
    """The numbers of one seed that a symptom was seen by, in brackets behind its name: `G/D 3.4`."""
    say, v = language.say, dict(finding.evidence)
    match finding.rule:
        case "loss ratio":
            return say("G/D {v}", v=number(v.get("G/D"), 2).replace("–", "∞"))
        case "accuracies":
            return say("{real:.2f}/{fake:.2f}", real=v["accuracy real"], fake=v["accuracy fake"])
        case "loss range":
            return say("G {g:.2f} D {d:.2f}", g=v["G loss"], d=v["D loss"])
        case "vanishing gradient":
            return say("D's loss {d:.3f}", d=v["D loss"])
        case "oscillation":
            return say("period of {v:.0f} steps", v=v["period"])
        case "mode collapse":
            return say(
                "{there:.0f} of {judged:.0f} classes there", there=v["classes there"], judged=v["classes judged"]
            )
        case "memorization" if "1-NN ratio" in v:
            return say("1-NN ratio {v}", v=number(v["1-NN ratio"], 2))
        case "memorization":
            return say("nearer than real {v}", v=number(v["nearer than real"], 2))
        case "progress":
            return say("{first} → {last}", first=number(v["first FID"], 3), last=number(v["last FID"], 3))


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
            return say("missing classes")
        case "memorization":
            return say("memorized training images")
        case "no progress":
            return say("FID that hardly changes")


def remedy_name_text(remedy: RemedyName, language: Language) -> str:
    say = language.say
    match remedy:
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
        case "higher learning rates":
            return say("higher learning rates")
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


def rules_text(language: Language, measured: bool) -> str:
    """By which rules runs are diagnosed; measured: whether those on images can find anything."""
    return language.paragraph(
        language.say(
            "Three rules of thumb judge the means over the last {steps} steps, with D's loss per term: {low:g} < G/D "
            "< {high:g}; both accuracies between {least:g} and {most:g}, else the discriminator is too good at real "
            "images (right on more than {most:g} of them), or else too good at generated ones, or else too weak; both "
            "losses between {bottom:g} and {top:g} nats. Accuracies are the share of real images with D(x) > 0.5 and "
            "of generated ones with D(G(z)) < 0.5. These thresholds are customary for the cross entropy on small "
            "images; a healthy run may break them.",
            steps=LAST_STEPS,
            low=RATIO[0],
            high=RATIO[1],
            least=ACCURACY[0],
            most=ACCURACY[1],
            bottom=LOSS[0],
            top=LOSS[1],
        ),
        language.say(
            "The gradient counts as vanishing where D's loss is less than {vanishing:g} nats above the least that its "
            "labels allow; gradients themselves are not recorded. Losses oscillate where G − D, over the last three "
            "quarters of training, has a periodic swing that noise with the same autocorrelation would have in one of "
            "100 cases or fewer, with at least 30 % of the variance.",
            vanishing=VANISHING,
        ),
        _on_images(language) if measured else "",
    )


def _on_images(language: Language) -> str:
    return language.say(
        "Classes are missing where the section on mode collapse says *collapsed* or *classes missing* of the seed. "
        "Images count as copies where the 1-NN ratio is below {ratio:g} or more than {share:.0f} % of them are nearer "
        "to a training image than 95 % of training images are to each other. FID stands still where it has changed by "
        "less than {progress:.0f} % since the first checkpoint and is more than {far:g} times that of real images.",
        ratio=NEAREST_RATIO,
        share=100 * NEAREST_SHARE,
        progress=100 * PROGRESS,
        far=FAR,
    )
