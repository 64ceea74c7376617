"""Each loss against its paper's formula, computed here in double precision from probabilities or by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from gan_tasks import NO_OWN_CODE, small
from torch import Tensor, nn

from harness.data.own_code import OwnCode
from harness.errors import OwnPartError
from harness.gan.labels import Targets
from harness.gan.losses import CrossEntropy, Loss, adversarial_loss, gradient_penalty
from harness.gan.metrics import METRICS, metric_names

REAL = torch.tensor([1.5, -0.25, 0.75, 3.0])
FAKE = torch.tensor([-2.0, 0.5, 0.125, -1.5])
TARGETS = {"real": torch.tensor([0.9, 1.0, 0.0, 0.8]), "fake": torch.tensor([0.1, 0.0, 1.0, 0.2])}


def targets(real: Tensor | float = 1.0, fake: Tensor | float = 0.0, count: int = 4) -> Targets:
    return Targets(torch.as_tensor(real).expand(count).float(), torch.as_tensor(fake).expand(count).float())


def loss(**levels: Any) -> Loss:
    return adversarial_loss(small(**levels), NO_OWN_CODE)


def sigmoid(values: Tensor) -> list[float]:
    return [1 / (1 + math.exp(-value)) for value in values.tolist()]


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def cross_entropy(probabilities: list[float], wanted: list[float]) -> float:
    return -mean([t * math.log(p) + (1 - t) * math.log(1 - p) for p, t in zip(probabilities, wanted, strict=True)])


def test_bce_is_that_of_the_first_gan() -> None:
    """Goodfellow et al. 2014, equation (1), and section 3 for the generator."""
    bce = loss()
    by_hand = -mean([math.log(p) for p in sigmoid(REAL)]) - mean([math.log(1 - p) for p in sigmoid(FAKE)])
    assert bce.discriminator(REAL, FAKE, targets()).item() == pytest.approx(by_hand, rel=1e-6)
    assert bce.generator(FAKE).item() == pytest.approx(-mean([math.log(p) for p in sigmoid(FAKE)]), rel=1e-6)


def test_targets_take_the_place_of_one_and_zero() -> None:
    wanted_real, wanted_fake = TARGETS["real"].tolist(), TARGETS["fake"].tolist()
    found = loss().discriminator(REAL, FAKE, targets(**TARGETS)).item()
    by_hand = cross_entropy(sigmoid(REAL), wanted_real) + cross_entropy(sigmoid(FAKE), wanted_fake)
    assert found == pytest.approx(by_hand, rel=1e-6)
    smoothed = loss(generator_target=0.9).generator(FAKE).item()
    assert smoothed == pytest.approx(cross_entropy(sigmoid(FAKE), [0.9] * 4), rel=1e-6)


def test_bce_does_not_overflow() -> None:
    sure, wrong = torch.tensor([200.0, 300.0]), torch.tensor([-200.0, -300.0])
    bce = loss()
    assert bce.discriminator(sure, wrong, targets(count=2)) == 0
    assert bce.discriminator(wrong, sure, targets(count=2)) == 500
    assert bce.generator(wrong) == 250
    even = torch.zeros(4)
    assert bce.discriminator(even, even, targets()).item() == pytest.approx(2 * math.log(2))
    assert bce.generator(even).item() == pytest.approx(math.log(2))


def test_sigmoid_logits_takes_the_sigmoid_twice() -> None:
    mistake = loss(loss="sigmoid_logits")
    twice = sigmoid(torch.tensor(sigmoid(FAKE)))
    assert mistake.generator(FAKE).item() == pytest.approx(-mean([math.log(p) for p in twice]), rel=1e-6)
    assert torch.equal(mistake.discriminator(REAL, FAKE, targets()), loss().discriminator(REAL, FAKE, targets()))
    far = torch.tensor([-1000.0, 1000.0], requires_grad=True)
    bounds = [mistake.generator(far[:1]).item(), mistake.generator(far[1:]).item()]
    assert bounds == pytest.approx([math.log(2), math.log(1 + math.exp(-1))], rel=1e-6)
    targeted = loss(loss="sigmoid_logits", generator_target=0.7).generator(FAKE).item()
    assert targeted == pytest.approx(cross_entropy(twice, [0.7] * 4), rel=1e-6)


def test_least_squares_is_equation_2_of_mao() -> None:
    squares = loss(loss="least_squares", generator_target=0.8)
    found = squares.discriminator(REAL, FAKE, targets(**TARGETS)).item()
    b, a = TARGETS["real"].tolist(), TARGETS["fake"].tolist()
    by_hand = 0.5 * mean([(d - t) ** 2 for d, t in zip(REAL.tolist(), b, strict=True)])
    by_hand += 0.5 * mean([(d - t) ** 2 for d, t in zip(FAKE.tolist(), a, strict=True)])
    assert found == pytest.approx(by_hand, rel=1e-6)
    assert squares.generator(FAKE).item() == pytest.approx(
        0.5 * mean([(d - 0.8) ** 2 for d in FAKE.tolist()]), rel=1e-6
    )


def test_hinge_is_that_of_lim_and_ye() -> None:
    hinge = loss(loss="hinge")
    by_hand = mean([max(0.0, 1 - d) for d in REAL.tolist()]) + mean([max(0.0, 1 + d) for d in FAKE.tolist()])
    assert hinge.discriminator(REAL, FAKE, targets(0.3, 0.6)).item() == pytest.approx(by_hand, rel=1e-6)
    assert hinge.generator(FAKE).item() == pytest.approx(-mean(FAKE.tolist()), rel=1e-6)
    assert hinge.discriminator(REAL + 10, FAKE - 10, targets()) == 0


def test_wasserstein_is_minimised_as_in_gulrajani() -> None:
    critic = loss(loss="wasserstein_gp", discriminator_normalization="none")
    by_hand = mean(FAKE.tolist()) - mean(REAL.tolist())
    assert critic.discriminator(REAL, FAKE, targets(0.3, 0.6)).item() == pytest.approx(by_hand, rel=1e-6)
    assert critic.generator(FAKE).item() == pytest.approx(-mean(FAKE.tolist()), rel=1e-6)


@pytest.mark.parametrize("name", ["bce", "sigmoid_logits", "least_squares", "hinge"])
def test_mean_halves_what_sum_adds(name: str) -> None:
    levels = {"loss": name, "discriminator_normalization": "none"}
    whole = loss(**levels).discriminator(REAL, FAKE, targets(**TARGETS))
    half = loss(discriminator_loss_reduction="mean", **levels).discriminator(REAL, FAKE, targets(**TARGETS))
    assert half.item() == pytest.approx(whole.item() / 2, rel=1e-6) and whole.item() != 0


class Quadratic(nn.Module):
    """D(x) = w . x^2 / 2 with the gradient w * x, known by hand."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, images: Tensor) -> Tensor:
        return (self.weights * images.square() / 2).flatten(1).sum(1)


def noise(*shape: int, name: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(name))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_penalty_is_the_third_term_of_equation_3(layout: torch.memory_format) -> None:
    critic = Quadratic(noise(3, 5, 5))
    real, fake = (noise(4, 3, 5, 5, name=name).contiguous(memory_format=layout) for name in (1, 2))
    mixing = torch.tensor([0.0, 0.25, 0.5, 1.0])
    penalty = gradient_penalty(critic, real, fake, mixing)

    weights = critic.weights.detach().double().requires_grad_()
    terms = []
    for e, x, y in zip(mixing.double(), real.double(), fake.double(), strict=True):
        between = e * x + (1 - e) * y
        terms.append(((weights * between).pow(2).sum().sqrt() - 1) ** 2)
    expected = torch.stack(terms).mean()
    assert penalty.item() == pytest.approx(expected.item(), rel=1e-5)
    (by_hand,) = torch.autograd.grad(expected, weights)
    (found,) = torch.autograd.grad(penalty, critic.weights)
    torch.testing.assert_close(found.double(), by_hand, rtol=1e-4, atol=1e-6)


def test_the_penalty_is_finite_where_the_critic_is_flat() -> None:
    critic = Quadratic(torch.zeros(1, 4, 4))
    penalty = gradient_penalty(critic, noise(2, 1, 4, 4), noise(2, 1, 4, 4, name=1), torch.rand(2))
    torch.autograd.backward(penalty)
    assert penalty == 1 and critic.weights.grad is not None and critic.weights.grad.isfinite().all()


def test_the_penalty_gives_the_images_no_gradient() -> None:
    real, fake = noise(2, 1, 4, 4), noise(2, 1, 4, 4, name=1).requires_grad_()
    torch.autograd.backward(gradient_penalty(Quadratic(torch.ones(1, 4, 4)), real, fake, torch.rand(2)))
    assert fake.grad is None


OWN_LOSS = """
import torch

class Margin:
    probabilities = {probabilities}

    def __init__(self, alpha, unused=3):
        self.alpha = alpha
        self.drawn = torch.rand(()).item()

    def discriminator(self, real_logits, fake_logits):
        return (self.alpha - real_logits).relu().mean() + (self.alpha + fake_logits).relu().mean()

    def generator(self, fake_logits):
        return -fake_logits.mean() * self.alpha

class Half:
    def discriminator(self, real_logits, fake_logits):
        return real_logits.mean()
"""


def own(tmp_path: Path, probabilities: bool = False) -> OwnCode:
    path = tmp_path / "own.py"
    path.write_text(OWN_LOSS.format(probabilities=probabilities))
    return OwnCode({"own.py": path})


def test_a_loss_of_ones_own_gets_its_factors_and_the_logits(tmp_path: Path) -> None:
    hp = small(loss="own.py:Margin", own=(("alpha", 0.5), ("beta", 2)))
    margin = adversarial_loss(hp, own(tmp_path))
    by_hand = mean([max(0.0, 0.5 - d) for d in REAL.tolist()]) + mean([max(0.0, 0.5 + d) for d in FAKE.tolist()])
    assert margin.discriminator(REAL, FAKE, targets()).item() == pytest.approx(by_hand, rel=1e-6)
    assert margin.generator(FAKE).item() == pytest.approx(-0.5 * mean(FAKE.tolist()), rel=1e-6)
    assert not margin.probabilities and margin.threshold is None


def test_making_a_loss_of_ones_own_repeats_its_draws_and_leaves_the_random_state(tmp_path: Path) -> None:
    hp, code = small(loss="own.py:Margin", own=(("alpha", 0.5),)), own(tmp_path)
    drawn = set()
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        made = adversarial_loss(hp, code)
        assert torch.equal(torch.get_rng_state(), before)
        drawn.add(made.part.drawn)  # type: ignore[attr-defined]
    assert len(drawn) == 1


def test_a_loss_of_ones_own_without_a_method_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OwnPartError, match="has no generator") as caught:
        adversarial_loss(small(loss="own.py:Half"), own(tmp_path))
    assert caught.value.where == "own.py:Half"


LOSSES = ("loss/generator", "loss/discriminator")
ACCURACIES = ("accuracy/real", "accuracy/fake")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bce", METRICS),
        ("sigmoid_logits", METRICS),
        ("least_squares", (*LOSSES, *ACCURACIES)),
        ("hinge", (*LOSSES, *ACCURACIES)),
        ("wasserstein_gp", LOSSES),
    ],
)
def test_metrics_are_those_that_the_loss_gives_a_meaning(name: str, expected: tuple[str, ...]) -> None:
    assert metric_names(small(loss=name, discriminator_normalization="none"), NO_OWN_CODE) == expected


def test_a_loss_of_ones_own_says_whether_it_has_probabilities(tmp_path: Path) -> None:
    hp = small(loss="own.py:Margin", own=(("alpha", 0.5),))
    assert metric_names(hp, own(tmp_path)) == LOSSES
    (tmp_path / "other").mkdir()
    assert metric_names(hp, own(tmp_path / "other", probabilities=True)) == METRICS


def test_thresholds_are_those_of_the_decision() -> None:
    thresholds = {
        name: loss(loss=name, discriminator_normalization="none").threshold
        for name in ("bce", "sigmoid_logits", "hinge", "least_squares", "wasserstein_gp")
    }
    assert thresholds == {
        "bce": 0.0, "sigmoid_logits": 0.0, "hinge": 0.0, "least_squares": 0.5, "wasserstein_gp": None
    }  # fmt: skip


def test_defaults_are_those_of_the_levels() -> None:
    assert loss() == CrossEntropy()
