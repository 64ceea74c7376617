"""What a cell changes besides the factor that it sets: the sizes of its networks, and at which size it is measured."""

from __future__ import annotations

from harness.report.columns import Column
from harness.report.content import Content, ReportCell
from harness.store.networks import Networks, read_networks


def side_text(content: Content, column: Column, cell: ReportCell, baseline: ReportCell) -> str:
    """That the networks have other sizes than the baseline's, and that images are scaled to be measured; empty where
    neither is so, or nobody knows."""
    own, other = networks_of(cell), networks_of(baseline)
    say, protocol = content.language.say, column.protocol
    resolution = cell.cell.hyperparameters.resolution
    scaled = ""
    if resolution != baseline.cell.hyperparameters.resolution and protocol and protocol.resolution:
        scaled = say(
            "Its images of {resolution} pixels are measured at {measured}, as those of all cells are.",
            resolution=resolution,
            measured=protocol.resolution,
        )
    return content.language.paragraph(_sizes_text(content, own, other), scaled)


def _sizes_text(content: Content, own: Networks | None, other: Networks | None) -> str:
    if own is None or other is None:
        return ""
    say = content.language.say
    g, g_before = own.generator.parameters, other.generator.parameters
    d, d_before = own.discriminator.parameters, other.discriminator.parameters
    shown = {"g": f"{g:,}", "g_before": f"{g_before:,}", "d": f"{d:,}", "d_before": f"{d_before:,}"}
    match g != g_before, d != d_before:
        case True, True:
            return say(
                "With it the sizes of both networks change, too: {g_before} → {g} parameters in G, {d_before} → {d} in "
                "D.",
                **shown,
            )
        case True, False:
            return say("With it the size of G changes, too: {g_before} → {g} parameters.", **shown)
        case False, True:
            return say("With it the size of D changes, too: {d_before} → {d} parameters.", **shown)
        case _:
            return ""


def networks_of(cell: ReportCell) -> Networks | None:
    """As the first of the cell's runs that noted them has them."""
    noted = (read_networks(run.view.directory) for run in cell.runs if run.view.directory)
    return next((networks for networks in noted if networks), None)
