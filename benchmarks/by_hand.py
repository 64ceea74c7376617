"""Experiment A's GAN as people write it by hand, at its best settings: the peer that training is measured beside.

    python benchmarks/by_hand.py --latent-dim 16 --hidden-dim 16 --steps 1000

MNIST's shape: 60,000 gray images of 28x28 as PIL images, brought to 32x32 by torchvision's transforms in two worker
processes; eager NCHW float32; BCELoss on a sigmoid; Adam as it comes; five values read with .item() at every step,
written every ten. The images are made up, as a step's time does not depend on them.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.utils import save_image

IMAGES = 60_000
BATCH = 64
LOADERS = 2


class PilImages(Dataset):  # type: ignore[type-arg]
    """Images and labels one by one, as torchvision's MNIST gives them."""

    def __init__(self, count: int) -> None:
        self._images = torch.randint(
            256, (count, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
        )
        self._transform = transforms.Compose(
            [transforms.Resize(32), transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))]
        )

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._images[index].numpy())), 0


def generator(latent_dim: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(latent_dim, 4 * hidden, 4),
        nn.BatchNorm2d(4 * hidden),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(4 * hidden, 2 * hidden, 4, 2, 1),
        nn.BatchNorm2d(2 * hidden),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(2 * hidden, hidden, 4, 2, 1),
        nn.BatchNorm2d(hidden),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(hidden, 1, 4, 2, 1, bias=False),
        nn.Tanh(),
    )


def discriminator(hidden: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, hidden, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(hidden, 2 * hidden, 4, 2, 1),
        nn.BatchNorm2d(2 * hidden),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * hidden, 4 * hidden, 4, 2, 1),
        nn.BatchNorm2d(4 * hidden),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4 * hidden, 1, 4),
        nn.Sigmoid(),
    )


def weights_init(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
        nn.init.zeros_(layer.bias)


def train_by_hand(
    latent_dim: int, hidden: int, folder: Path, device: torch.device, after_step: Callable[[int], bool]
) -> None:
    """Trains until `after_step`, which is told the number of steps done, says no; then saves the generator."""
    netg, netd = generator(latent_dim, hidden).to(device), discriminator(hidden).to(device)
    netg.apply(weights_init)
    netd.apply(weights_init)
    loss = nn.BCELoss()
    optimizer_g = torch.optim.Adam(netg.parameters(), lr=2e-4, betas=(0.5, 0.999))
    optimizer_d = torch.optim.Adam(netd.parameters(), lr=2e-4, betas=(0.5, 0.999))
    fixed_noise = torch.randn(64, latent_dim, 1, 1, device=device)
    step = 0
    with ExitStack() as files:
        scalars = csv.writer(files.enter_context((folder / "scalars.csv").open("w", newline="")))
        for images in _batches(device):
            real = images.to(device, non_blocking=True)
            ones, zeros = torch.ones(len(real), device=device), torch.zeros(len(real), device=device)

            netd.zero_grad()
            real_answers = netd(real).view(-1)
            fake = netg(torch.randn(len(real), latent_dim, 1, 1, device=device))
            fake_answers = netd(fake.detach()).view(-1)
            loss_d = loss(real_answers, ones) + loss(fake_answers, zeros)
            loss_d.backward()
            optimizer_d.step()

            netg.zero_grad()
            again = netd(fake).view(-1)
            loss_g = loss(again, ones)
            loss_g.backward()
            optimizer_g.step()

            values = (loss_d, loss_g, real_answers.mean(), fake_answers.mean(), again.mean())
            read = [value.item() for value in values]
            step += 1
            if step % 10 == 0:
                scalars.writerow([step, *read])
            if not after_step(step):
                break
    torch.save({"netg": netg.state_dict()}, folder / f"netg_{step}.pt")
    with torch.no_grad():
        save_image(netg(fixed_noise), folder / f"samples_{step}.png", normalize=True)


def _batches(device: torch.device) -> Iterator[Tensor]:
    loader = DataLoader(
        PilImages(IMAGES),
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=LOADERS,
        persistent_workers=True,
        pin_memory=device.type == "cuda",
    )
    while True:
        for images, _ in loader:
            yield images


def main() -> int:
    options = argparse.ArgumentParser(description="Experiment A's GAN, written by hand.")
    options.add_argument("--latent-dim", type=int, default=16)
    options.add_argument("--hidden-dim", type=int, default=16)
    options.add_argument("--steps", type=int, default=1000)
    options.add_argument("--device", default="cpu")
    given = options.parse_args()
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        train_by_hand(
            given.latent_dim,
            given.hidden_dim,
            Path(folder),
            torch.device(given.device),
            lambda step: step < given.steps,
        )
        seconds = time.perf_counter() - started
    print(f"{given.steps} steps in {seconds:.1f} s: {1000 * seconds / given.steps:.1f} ms each", file=sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
