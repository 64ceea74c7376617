"""The loop that training is measured beside is the same GAN, trained the same way; and turns count what they say."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.gan.networks.build import build_discriminator, build_generator
from harness.gan.randomness import random_stream

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
by_hand, turns, dcgan_example = (importlib.import_module(name) for name in ("by_hand", "turns", "dcgan_example"))
sys.path.remove(str(BENCHMARKS))

HP = Hyperparameters(latent_dim=16, generator_hidden_dim=8, discriminator_hidden_dim=8)


def test_both_loops_have_the_same_networks() -> None:
    ours_g = build_generator(HP, 1, random_stream(0, "initialization", "generator"), OwnCode({}))
    ours_d = build_discriminator(HP, 1, random_stream(0, "initialization", "discriminator"), OwnCode({}))
    hand_g, hand_d = by_hand.generator(16, 8), by_hand.discriminator(8)
    for ours, hand in ((ours_g, hand_g), (ours_d, hand_d)):
        values = list(ours.state_dict().values())
        assert [tensor.shape for tensor in values] == [tensor.shape for tensor in hand.state_dict().values()]
        hand.load_state_dict(dict(zip(hand.state_dict(), values, strict=True)))
    latents = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    images = ours_g(latents)
    assert torch.allclose(images, hand_g(latents.view(4, 16, 1, 1)), atol=1e-6)
    assert torch.allclose(ours_d(images).sigmoid(), hand_d(images).view(-1), atol=1e-6)


def test_the_loop_by_hand_stops_where_it_is_told_and_keeps_its_files(tmp_path: Path) -> None:
    told: list[int] = []

    def after_step(step: int) -> bool:
        told.append(step)
        return step < 11

    by_hand.train_by_hand(4, 2, tmp_path, torch.device("cpu"), after_step)
    assert told == list(range(1, 12))
    assert (tmp_path / "netg_11.pt").is_file() and (tmp_path / "samples_11.png").is_file()
    (line,) = (tmp_path / "scalars.csv").read_text().splitlines()
    assert line.startswith("10,") and len(line.split(",")) == 6


@pytest.mark.parametrize("hand", [True, False])
def test_a_contestant_runs_when_it_is_its_turn(monkeypatch: pytest.MonkeyPatch, hand: bool) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)  # its process finds the module there
    hp = HP.model_copy(update={"generator_hidden_dim": 2, "discriminator_hidden_dim": 2})
    with turns.Standing(turns.Contestant("one", hp, hand, 1), warm_up=1, steps=4) as standing:
        assert standing.take(2) > 0
        assert standing.take(2) > 0
        assert standing.finish() > 0


STEPS_OF_AN_EXAMPLE = """
import sys
assert "--dataset fake --niter 1" in " ".join(sys.argv)
print("Random Seed: 1")
for step in range({steps}):
    print(f"[0/1][{{step}}/99] Loss_D: 1.0 Loss_G: 2.0 D(x): 0.5 D(G(z)): 0.5 / 0.5")
"""


def test_the_dcgan_example_is_timed_by_what_it_prints(tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(STEPS_OF_AN_EXAMPLE.format(steps=20), encoding="utf-8")
    seconds = dcgan_example.example_seconds(script)
    assert len(seconds) == dcgan_example.TIMED
    assert all(second >= 0 for second in seconds)
    script.write_text(STEPS_OF_AN_EXAMPLE.format(steps=3), encoding="utf-8")
    with pytest.raises(SystemExit, match="printed 3 steps"):
        dcgan_example.example_seconds(script)
