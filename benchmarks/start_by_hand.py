"""What a script written by hand does until its first training step: a DCGAN on scikit-learn's digits, with MLflow.

    python benchmarks/start_by_hand.py sqlite:///PATH.db

Prints the time (seconds since 1970) at which the first step was done. PIL transforms, a DataLoader, default Adam and
BCELoss on a sigmoid, as in PyTorch's tutorial; sizes as in `startup.py`. The loader works in this process: one with
processes of its own starts later.
"""

import sys
import time

import mlflow
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms

LATENT, HIDDEN, BATCH = 16, 16, 64


def generator() -> nn.Module:
    return nn.Sequential(
        nn.ConvTranspose2d(LATENT, HIDDEN * 4, 4, 1, 0, bias=False), nn.BatchNorm2d(HIDDEN * 4), nn.ReLU(True),
        nn.ConvTranspose2d(HIDDEN * 4, HIDDEN * 2, 4, 2, 1, bias=False), nn.BatchNorm2d(HIDDEN * 2), nn.ReLU(True),
        nn.ConvTranspose2d(HIDDEN * 2, HIDDEN, 4, 2, 1, bias=False), nn.BatchNorm2d(HIDDEN), nn.ReLU(True),
        nn.ConvTranspose2d(HIDDEN, 1, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip


def discriminator() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, HIDDEN, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True),
        nn.Conv2d(HIDDEN, HIDDEN * 2, 4, 2, 1, bias=False), nn.BatchNorm2d(HIDDEN * 2), nn.LeakyReLU(0.2, True),
        nn.Conv2d(HIDDEN * 2, HIDDEN * 4, 4, 2, 1, bias=False), nn.BatchNorm2d(HIDDEN * 4), nn.LeakyReLU(0.2, True),
        nn.Conv2d(HIDDEN * 4, 1, 4, 1, 0, bias=False), nn.Sigmoid(), nn.Flatten(0),
    )  # fmt: skip


def main(store: str) -> None:
    mlflow.set_tracking_uri(store)
    mlflow.set_experiment("by hand")
    prepare = transforms.Compose(
        [transforms.ToPILImage(), transforms.Resize(32), transforms.ToTensor(), transforms.Normalize(0.5, 0.5)]
    )
    pixels = np.rint(load_digits().images * 255 / 16).astype(np.uint8)[..., None]
    loader = DataLoader([prepare(image) for image in pixels[:BATCH]], BATCH)
    g, d, loss = generator(), discriminator(), nn.BCELoss()
    g_adam, d_adam = (torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (g, d))
    with mlflow.start_run():
        real = next(iter(loader))
        fake = g(torch.randn(BATCH, LATENT, 1, 1))
        d_loss = loss(d(real), torch.ones(BATCH)) + loss(d(fake.detach()), torch.zeros(BATCH))
        d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()
        g_loss = loss(d(fake), torch.ones(BATCH))
        g_adam.zero_grad()
        g_loss.backward()
        g_adam.step()
        losses = d_loss.item(), g_loss.item()
        print(time.time(), *losses)


if __name__ == "__main__":
    main(sys.argv[1])
