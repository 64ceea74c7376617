"""The cost model counts what a step asks for, and writes its part of a page; no time is looked at."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from gan_tasks import small
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[1]
PAGE = "# Performance\n\n<!-- measured: cost on cpu -->\nold\n<!-- measured end -->\n\nafter\n"


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("machine_limit")


@pytest.fixture
def orders(limit: ModuleType) -> ModuleType:
    return importlib.import_module("cost_orders")


@pytest.fixture
def page(limit: ModuleType) -> ModuleType:
    return importlib.import_module("cost_page")


def model(limit: ModuleType) -> Any:
    """Made-up figures of two rounds: every step takes four times its limit."""
    figures, profiles = importlib.import_module("cost_figures"), importlib.import_module("step_profile")
    rounds = figures.Rounds((0.04, 0.08), (0.01, 0.02), (0.03, 0.06))
    shapes = ((16, 16, 32), (16, 32, 32), (16, 16, 64), (100, 100, 32))
    return figures.CostModel(
        operations_s=(100e9, 100e9),
        bytes_s=(10e9, 10e9),
        steps=tuple(figures.StepPoint(*shape, 10**9, 10**8, rounds) for shape in shapes),
        runs=tuple(figures.RunPoint(n, (1 + n / 10,) * 2, (1 + n / 8,) * 2, n / 40) for n in (10, 20, 40)),
        evaluations=tuple(
            figures.EvaluationPoint(name, n, n * 10**6, rounds) for name in ("digits", "mnist") for n in (50, 100)
        ),
        layers=(figures.LayerRates(16, 16, "G image", {"forward": 2.0, "weight gradient": 50.0}, 3.0),),
        profiles=tuple(
            profiles.Profile(n, n, 4, 0.05, {"G image, forward": 0.9, "Adam": 0.097, "batches": 0.003})
            for n in (16, 100)
        ),
    )


def test_multiply_adds_of_a_convolution_by_hand(limit: ModuleType) -> None:
    layer, images = nn.Conv2d(3, 5, 4, stride=2, padding=1), torch.zeros(2, 3, 8, 8)
    work = limit.counted(lambda: layer(images))
    (found,) = work.convolutions
    by_hand = 2 * (4 * 4) * 5 * (3 * 4 * 4)  # images, places of the output, features of it, taps of each
    assert (found.kind, found.bias, found.multiply_adds) == ("forward", True, by_hand)
    assert work.operations == 2 * by_hand


def test_multiply_adds_of_a_transposed_convolution_by_hand(limit: ModuleType) -> None:
    layer, maps = nn.ConvTranspose2d(5, 3, 4, stride=2, padding=1, bias=False), torch.zeros(2, 5, 4, 4)
    (found,) = limit.counted(lambda: layer(maps)).convolutions
    assert found.multiply_adds == 2 * (4 * 4) * 5 * (3 * 4 * 4)  # images, places of the input, each to all taps
    assert found.output.size == (2, 3, 8, 8) and not found.bias


def test_a_backward_pass_is_counted_by_what_is_asked_of_it(limit: ModuleType) -> None:
    layer, images = nn.Conv2d(3, 5, 4), torch.zeros(2, 3, 8, 8)

    def kinds() -> list[str]:
        work = limit.counted(lambda: layer(images).sum().backward())
        assert len({one.multiply_adds for one in work.convolutions}) == 1
        return [one.kind for one in work.convolutions]

    assert kinds() == ["forward", "weight gradient"]
    images.requires_grad_()
    assert kinds() == ["forward", "data gradient", "weight gradient"]
    layer.requires_grad_(False)
    assert kinds() == ["forward", "data gradient"]


def test_in_inference_mode_the_same_is_counted(limit: ModuleType) -> None:
    network = nn.Sequential(nn.Conv2d(3, 5, 4), nn.Flatten(), nn.Linear(5 * 25, 7))
    images = torch.zeros(2, 3, 8, 8)
    with torch.inference_mode():
        inferred = limit.counted(lambda: network(images))
    assert inferred.operations == limit.counted(lambda: network(images)).operations
    assert inferred.matrix_multiply_adds == 2 * 5 * 25 * 7


def test_a_whole_step_is_counted_as_torch_counts_it(orders: ModuleType) -> None:
    with FlopCounterMode(display=False) as peer:
        work = orders.CountStep(small()).carry_out()
    assert work.operations == peer.get_total_flops() > 0


def test_the_generators_update_asks_for_no_gradients_of_the_discriminators_weights(orders: ModuleType) -> None:
    hp = small()
    work, named = orders.CountStep(hp).carry_out(), orders.named_layers(hp)
    times = {(named[one.input.size, one.weight.size], one.kind): count for one, count in work.convolutions.items()}
    assert times["D map4", "forward"] == 3  # real, fake, fake again
    assert times["D map4", "weight gradient"] == 2 and times["D map4", "data gradient"] == 1
    assert times["D logit", "data gradient"] == 3
    assert times["G image", "forward"] == times["G image", "weight gradient"] == 1  # one fake batch for both


@pytest.mark.parametrize(
    ("what", "times"),
    [
        (lambda a, b: a + b, 3),
        (lambda a, b: a.relu_(), 2),
        (lambda a, b: a.copy_(b), 2),
        (lambda a, b: a.zero_(), 1),
        (lambda a, b: a.view(-1), 0),
        (lambda a, b: torch.empty_like(a), 0),
        (lambda a, b: a[torch.tensor([0])], 2 / 8 + 1 / 256),  # the row, read and written; its number was made
    ],
)
def test_bytes_are_those_read_and_written(limit: ModuleType, what: Any, times: float) -> None:
    a, b = torch.zeros(8, 64), torch.zeros(8, 64)
    assert limit.counted(lambda: what(a, b)).moved_bytes == pytest.approx(times * a.nbytes, abs=16)


def test_a_convolution_can_be_run_by_itself_as_the_step_ran_it(orders: ModuleType) -> None:
    work = orders.CountStep(small()).carry_out()
    for one in work.convolutions:
        result = one.work()()
        if one.kind == "forward":
            assert tuple(result.shape) == one.output.size
        else:
            data, weight, bias = result
            assert (data is None) == (weight is not None)
            assert tuple((weight if data is None else data).shape) == (one.weight if data is None else one.input).size
            assert (bias is not None) == one.bias


def test_the_limit_is_operations_and_bytes_at_the_best_rates(limit: ModuleType) -> None:
    assert limit.Rates(100.0, 10.0).limit_s(limit.Work({}, 100, 50)) == 2 * 100 / 100 + 50 / 10


def test_a_profile_knows_layers_and_leaves_the_rest_to_python(orders: ModuleType) -> None:
    profiles = importlib.import_module("step_profile")
    named = {((32, 4, 4, 4), (4, 1, 4, 4)): "G image"}
    shapes = [[32, 4, 4, 4], [4, 1, 4, 4], []]
    assert profiles.kind_of("aten::_convolution", shapes, named) == "G image, forward"
    assert profiles.kind_of("aten::convolution_backward", [[32, 1, 8, 8], *shapes], named) == "G image, backward"
    assert profiles.kind_of("aten::leaky_relu_backward", shapes, named) == "activations"
    assert profiles.kind_of("autograd::engine", [], named) == profiles.PYTHON
    shares = profiles.shares({"Adam": 1.0, "activations": 2.0, profiles.PYTHON: 0.5}, 4.0)
    assert shares == {"activations": 0.5, "Adam": 0.25, profiles.PYTHON: 0.25}


def test_real_steps_are_profiled_by_layer(orders: ModuleType) -> None:
    profile = orders.ProfileSteps(small(), 2).carry_out()
    assert sum(profile.shares.values()) == pytest.approx(1.0)
    assert {"G image, forward", "D logit, backward", "Adam", "batch normalization"} <= profile.shares.keys()
    assert "another convolution, forward" not in profile.shares


def test_a_line_through_points_on_a_line(limit: ModuleType) -> None:
    line = importlib.import_module("cost_figures").line_through([10, 20, 40], [2.0, 3.0, 5.0])
    assert (line.intercept_s, line.slope_s, line.off) == pytest.approx((1.0, 0.1, 0.0))


def test_the_page_gets_its_part_and_nothing_else(limit: ModuleType, page: ModuleType) -> None:
    text = page.into_page(PAGE, "python benchmarks/cost_model.py", model(limit))
    assert "old" not in text and text.endswith("<!-- measured end -->\n\nafter\n")
    assert "| (16, 16), 32x32 | 60.0 (40.0-80.0) | 1.00 | 100 | 15.0 | 25% | 75% |" in text
    assert "1.00 s, and 100.0 ms a step" in text and "| all that take less | 0.3% | 0.3% |" in text
    assert "| convolutions in all | 90.0% | 90.0% |\n| - G image, forward | 90.0% | 90.0% |\n| Adam | 9.7%" in text
    assert "50.0 ms at (16, 16), where it takes 60.0 ms without" in text
    assert "| G image, (16, 16) | 2.0 |  | 50.0 | 3.0 |" in text
    assert page.into_page(text, "python benchmarks/cost_model.py", model(limit)) == text
    with pytest.raises(ValueError, match="no single part"):
        page.into_page("# Performance\n", "command", model(limit))


def test_the_picture_is_small(limit: ModuleType, page: ModuleType, tmp_path: Path) -> None:
    page.write_plot(tmp_path / "cost.png", model(limit))
    with Image.open(tmp_path / "cost.png") as picture:
        assert picture.format == "PNG" and picture.width > 800
    assert (tmp_path / "cost.png").stat().st_size < 150_000
