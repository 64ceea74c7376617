"""Takes the pictures of MLflow's page in docs/mlflow.md, of a small ablation that is run for them.

    python scripts/make_screenshots.py                 some minutes; needs Chromium; writes docs/mlflow-*.png
    python scripts/make_screenshots.py --folder DIR    works in DIR and keeps it: what is done there is not done again

Look at what it made: it waits for what MLflow's page shows late, which may change with MLflow.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PORT = 5077
PATIENCE_S = 180.0
NO_ASSISTANT = """
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
"""
"""MLflow opens a panel to ask a language model in, once for each browser."""
LATE_S = 20.0
"""After what can be waited for, MLflow still loads curves and pictures, and says of none when it has them all."""

EXPERIMENT = """
name = "ablation"
seeds = [0, 1]

[baseline]
resolution = 16
latent_dim = 16
hidden_dim = 8
batch_size = 32

[training]
steps = 6000
log_every = 150
checkpoint_every = 1500

[[evaluation]]
samples = 300
repeats = 2

[report]
samples = 16

[[grid]]
kind = "one-at-a-time"
levels.latent_dim = [4]
levels.hidden_dim = [16]
levels.generator_activation = ["relu"]
levels.normalization = ["none"]

[[cell]]
latent_dim = 4
hidden_dim = 16
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Takes the pictures of MLflow's page.", allow_abbrev=False)
    parser.add_argument("--folder", type=Path, help="to work in and to keep; otherwise a temporary one")
    options = parser.parse_args()
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        print(f"error: none of {', '.join(PROGRAMS)} is installed", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="screenshots-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ablation.toml").write_text(EXPERIMENT, encoding="utf-8")
        _harness(folder, "run", "ablation.toml", "--no-report")
        _take(folder, Path(program))
    return 0


def _harness(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def _take(folder: Path, program: Path) -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    from chromium import chromium

    served = json.loads(_harness(folder, "ui", "ablation.toml", "--port", str(PORT), "--json"))
    root = f"http://127.0.0.1:{PORT}"
    with _serving(served["command"], folder), chromium(program, 1500, 1050) as page:
        page.open(root)
        page.wait_for_text("MLflow", timeout_s=PATIENCE_S)
        page.evaluate(NO_ASSISTANT)
        page.open(root + served["page"])
        page.wait_for_text("Parallel Coordinates", "12 matching runs", timeout_s=PATIENCE_S)
        page.wait_for("document.querySelectorAll('.parcoords').length > 0", PATIENCE_S)
        shown = "[...document.querySelectorAll('img')].filter(i => i.src.includes('step%2B') && i.naturalWidth)"
        page.wait_for(f"{shown}.length >= 4", PATIENCE_S)
        time.sleep(LATE_S)
        _keep(page.screenshot, "mlflow-compare.png")
        page.evaluate(f"{shown}[0].scrollIntoView({{block: 'center'}})")
        time.sleep(LATE_S)
        _keep(page.screenshot, "mlflow-samples.png")
        run = page.evaluate("[...document.querySelectorAll('a[href*=\"/runs/\"]')].at(-1).href")
        page.open(f"{run}/system-metrics")
        page.wait_for_text("process_memory_megabytes", timeout_s=PATIENCE_S)
        time.sleep(LATE_S)
        _keep(page.screenshot, "mlflow-system.png")


@contextmanager
def _serving(command: list[str], folder: Path) -> Iterator[None]:
    """A block in which MLflow's page answers."""
    if _answers():
        raise RuntimeError(f"something answers on port {PORT} already")
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not _answers():
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((folder / "server.log").read_text(errors="replace")[-2000:])
                time.sleep(0.5)
            yield
        finally:
            server.terminate()
            server.wait()


def _answers() -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=5):
        return True
    return False


def _keep(screenshot: Callable[[Path], None], name: str) -> None:
    """With 256 colors, a quarter of the size; dots in the place of further ones would show more."""
    screenshot(DOCS / name)
    with Image.open(DOCS / name) as picture:
        fewer = picture.convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    fewer.save(DOCS / name, optimize=True)
    print(f"written: docs/{name}")


if __name__ == "__main__":
    sys.exit(main())
