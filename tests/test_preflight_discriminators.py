"""Own discriminators and losses that do not fit are found before training, with the layer and the numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from preflight_parts import DISCRIMINATOR, FITS, HEAD, check, refused

from harness.errors import OwnPartError
from harness.gan.preflight import LayerCheck


def test_an_own_discriminator_that_fits(tmp_path: Path) -> None:
    checked = check(tmp_path, DISCRIMINATOR % (*FITS, "nn.Identity()"), 3, discriminator="parts.py:Judge")
    assert checked.discriminator.layers == (
        LayerCheck("first", "Conv2d", (4, 4, 4), 3 * 4 * 16 + 4),
        LayerCheck("norm", "BatchNorm2d", (4, 4, 4), 8),
        LayerCheck("last", "Linear", (1,), 65),
    )
    assert checked.warnings == ()


@pytest.mark.parametrize(
    ("sizes", "end", "expected"),
    [
        (("channels", "20", "1"), "nn.Identity()", "layer first (Conv2d): a kernel of 20 does not fit a map of 16x16"),
        (
            ("channels", "21, padding=2", "1"),
            "nn.Identity()",
            "layer first (Conv2d): a kernel of 21 does not fit a map of 16x16, 20 with its padding of 2",
        ),
        (
            ("3", "4, stride=4", "4"),
            "nn.Identity()",
            "layer first (Conv2d): takes 3 channels and gets 1 ([2, 1, 16, 16])",
        ),
        (
            ("channels", "4, stride=4", "5"),
            "nn.Identity()",
            "layer last (Linear): takes 100 features and gets 64 ([2, 64])",
        ),
        (FITS, "nn.InstanceNorm2d(1)", "layer end (InstanceNorm2d): takes maps [N, 1, height, width] and gets [2, 1]"),
        (
            FITS,
            "nn.Sequential(nn.Unflatten(1, (1, 1, 1)), nn.InstanceNorm2d(1))",
            "layer end.1 (InstanceNorm2d): normalizes each map by itself, and a map of 1x1 ([2, 1, 1, 1])",
        ),
        (FITS, "nn.BatchNorm1d(7)", "layer end (BatchNorm1d): takes 7 channels and gets 1 ([2, 1])"),
        (FITS, "nn.Unflatten(1, (2, 2))", "layer end: [2, 1, 16, 16] goes in: RuntimeError"),
    ],
)
def test_layers_that_do_not_fit(tmp_path: Path, sizes: tuple[str, str, str], end: str, expected: str) -> None:
    said = refused(tmp_path, DISCRIMINATOR % (*sizes, end), discriminator="parts.py:Judge")
    assert "discriminator parts.py:Judge" in said
    assert expected in said


def test_the_users_line_is_named(tmp_path: Path) -> None:
    text = DISCRIMINATOR % (*FITS, "nn.Unflatten(1, (2, 2))")
    line = (HEAD + text).splitlines().index(
        "        return self.end(self.last(self.norm(self.first(images)).flatten(1)))"
    ) + 1
    assert refused(tmp_path, text, discriminator="parts.py:Judge").startswith(f"parts.py:{line}: discriminator")


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("nn.Linear(1, 3)", "discriminator parts.py:Judge: gives logits of shape [2, 3], not [2], one for each image"),
        ("lambda x: [x]", "discriminator parts.py:Judge: gives a list, not a tensor"),
    ],
)
def test_own_logits_of_a_wrong_shape(tmp_path: Path, end: str, expected: str) -> None:
    assert expected in refused(tmp_path, DISCRIMINATOR % (*FITS, end), discriminator="parts.py:Judge")


@pytest.mark.parametrize("end", ["nn.Sigmoid()", "torch.sigmoid", "nn.Sequential(nn.Sigmoid(), nn.Flatten(0))"])
@pytest.mark.parametrize("loss", ["bce", "sigmoid_logits"])
def test_a_double_sigmoid(tmp_path: Path, end: str, loss: str) -> None:
    said = refused(tmp_path, DISCRIMINATOR % (*FITS, end), discriminator="parts.py:Judge", loss=loss)
    assert f"loss {loss} takes logits: the sigmoid would be applied twice" in said
    named = {"nn.Sigmoid()": "(layer end, a sigmoid at the end)", "torch.sigmoid": "(a sigmoid at the end)"}
    assert named.get(end, "(layer end.0, a sigmoid at the end)") in said


def test_a_sigmoid_under_losses_of_raw_outputs(tmp_path: Path) -> None:
    text = DISCRIMINATOR % (*FITS, "nn.Sigmoid()")
    said = refused(tmp_path, text, discriminator="parts.py:Judge", loss="hinge")
    assert "values outside [0, 1] are what it learns from" in said
    assert not check(tmp_path, text, discriminator="parts.py:Judge", loss="least_squares").warnings


def test_a_sigmoid_inside_is_no_double_one(tmp_path: Path) -> None:
    text = DISCRIMINATOR % (*FITS, "nn.Sequential(nn.Sigmoid(), nn.Linear(1, 1))")
    assert not check(tmp_path, text, discriminator="parts.py:Judge").warnings


def test_parameters_without_a_gradient_are_named(tmp_path: Path) -> None:
    text = DISCRIMINATOR % (*FITS, "nn.Identity()\n        self.never = nn.Linear(2, 2)")
    assert check(tmp_path, text, discriminator="parts.py:Judge").warnings == (
        "discriminator parts.py:Judge: never.weight gets no gradient, so it stays at its first values",
        "discriminator parts.py:Judge: never.bias gets no gradient, so it stays at its first values",
    )
    cut = DISCRIMINATOR % (*FITS, "torch.Tensor.detach")
    assert "does not depend on its parameters" in refused(tmp_path, cut, discriminator="parts.py:Judge")


def test_batch_normalization_under_the_gradient_penalty_is_a_warning(tmp_path: Path) -> None:
    text = DISCRIMINATOR % (*FITS, "nn.Identity()")
    (warning,) = check(tmp_path, text, discriminator="parts.py:Judge", loss="wasserstein_gp").warnings
    assert "layer norm is batch normalization" in warning
    without = {"loss": "wasserstein_gp", "gradient_penalty": 0.0}
    assert not check(tmp_path, text, discriminator="parts.py:Judge", **without).warnings


@pytest.mark.parametrize(("base", "is_batch_norm"), [("nn.BatchNorm2d", True), ("nn.GroupNorm", False)])
def test_batch_normalization_is_told_by_what_it_is_not_by_its_name(
    tmp_path: Path, base: str, is_batch_norm: bool
) -> None:
    sizes = "4" if is_batch_norm else "2, 4"
    text = f"class {'Mine' if is_batch_norm else 'BatchNormLike'}({base}):\n    pass\n" + DISCRIMINATOR % (
        *FITS,
        "nn.Identity()",
    )
    text = text.replace("nn.BatchNorm2d(4)", f"{'Mine' if is_batch_norm else 'BatchNormLike'}({sizes})")
    warnings = check(tmp_path, text, discriminator="parts.py:Judge", loss="wasserstein_gp").warnings
    assert [("layer norm is batch normalization" in warning) for warning in warnings] == [True] * is_batch_norm


ONCE = """
class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, slope):
        return slope * 2

class Root(nn.Module):
    def forward(self, x):
        return (x * 0).abs().sqrt() + x

class Once(nn.Module):
    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        return Twice.apply(x)
"""


@pytest.mark.parametrize(
    ("part", "end", "expected"),
    [
        ("discriminator", "lambda x: Twice.apply(x) * self.last.bias", "trying to differentiate twice"),
        ("discriminator", "Root()", "gradient with NaN or infinite values"),
        ("discriminator_normalization", "nn.Identity()", "trying to differentiate twice"),
    ],
)
def test_a_discriminator_that_the_gradient_penalty_cannot_train(
    tmp_path: Path, part: str, end: str, expected: str
) -> None:
    text = ONCE + DISCRIMINATOR % (*FITS, end)
    levels = {part: "parts.py:Judge" if part == "discriminator" else "parts.py:Once"}
    said = refused(tmp_path, text, loss="wasserstein_gp", **levels)
    assert "the gradient penalty of loss wasserstein_gp" in said and expected in said
    check(tmp_path, text, loss="bce", **levels)
    check(tmp_path, text, loss="wasserstein_gp", gradient_penalty=0.0, **levels)


LOSS = """
class Margin:
    probabilities = %s

    def discriminator(self, real_logits, fake_logits):
        return %s

    def %s(self, fake_logits):
        return -fake_logits.mean()
"""
GOOD = "torch.relu(1 - real_logits).mean() + fake_logits.mean()"


def test_an_own_loss_that_fits(tmp_path: Path) -> None:
    assert not check(tmp_path, LOSS % ("False", GOOD, "generator"), loss="parts.py:Margin").warnings


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        ("fake_logits - real_logits", "generator", "discriminator gives a tensor [4] for logits [4], not a scalar"),
        (f"({GOOD}).item()", "generator", "discriminator gives a float for logits [4], not a scalar"),
        (f"({GOOD}).detach()", "generator", "discriminator gives a value without gradients"),
        ("real_logits.mean() ** 2 / 0", "generator", "discriminator gives inf for"),
    ],
)
def test_own_losses_that_do_not_fit(tmp_path: Path, value: str, name: str, expected: str) -> None:
    said = refused(tmp_path, LOSS % ("False", value, name), loss="parts.py:Margin")
    assert said.startswith(f"loss parts.py:Margin: {expected}")


def test_an_own_loss_without_a_method_is_refused_as_in_training(tmp_path: Path) -> None:
    with pytest.raises(OwnPartError, match=r"^parts\.py:Margin: a loss has the methods .* this one has no generator"):
        check(tmp_path, LOSS % ("False", GOOD, "generate"), loss="parts.py:Margin")


def test_an_own_loss_that_raises_names_the_users_line(tmp_path: Path) -> None:
    with pytest.raises(
        OwnPartError, match=r"^parts\.py:\d+: loss parts\.py:Margin: discriminator of logits \[4\]: KeyError"
    ):
        check(tmp_path, LOSS % ("False", "{}['margin']", "generator"), loss="parts.py:Margin")


@pytest.mark.parametrize("probabilities", ["True", "False"])
def test_a_sigmoid_under_an_own_loss_of_logits(tmp_path: Path, probabilities: str) -> None:
    text = DISCRIMINATOR % (*FITS, "nn.Sigmoid()") + LOSS % (probabilities, GOOD, "generator")
    levels = {"discriminator": "parts.py:Judge", "loss": "parts.py:Margin"}
    if probabilities == "True":
        assert "the sigmoid would be applied twice" in refused(tmp_path, text, **levels)
    else:
        assert not check(tmp_path, text, **levels).warnings
