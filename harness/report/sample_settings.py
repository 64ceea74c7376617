"""What sample grids were drawn with: settings that all share in sentences, those in which cells differ in a table."""

from __future__ import annotations

from harness.report.content import Content, ReportCell
from harness.report.factor_changes import changes
from harness.report.figures.samples import SamplePanel, read_picture
from harness.report.figures.style import GRAY, CellStyle
from harness.report.markdown import escape, table
from harness.report.sheets import Sheets
from harness.store.real_images import RealImages, asked_real_images

REAL_STYLE = CellStyle(GRAY, "o", ())
"""Of the panel of real images, which belongs to no cell."""


def shared_settings(content: Content, sheets: Sheets) -> str:
    """What is the same for every grid."""
    language = content.language
    told = [
        language.say(
            "The grids are drawn with the weights as they were trained (no moving average), with batch norm in "
            "evaluation mode (running statistics)."
        )
    ]
    same = [name for name, values in _settings(content, sheets).items() if len(set(values)) == 1]
    named = _settings(content, sheets)
    if same:
        shown = language.listed(
            language.say("{name} {value}", name=name, value=named[name][0]) for name in same if named[name][0]
        )
        told.append(language.say("The same for all: {settings}.", settings=shown))
    return language.paragraph(*told)


def differing_settings(content: Content, sheets: Sheets) -> str:
    """A row per cell that has a grid, with what it changes against the baseline, and settings that are not shared;
    empty where an earlier section has described the cells."""
    if _are_described(content):
        return ""
    say = content.language.say
    found = _settings(content, sheets)
    columns = {name: values for name, values in found.items() if len(set(values)) > 1}
    cells = _shown(sheets)
    headers = [say("Cell"), say("Against the baseline"), *columns]
    rows = [
        [escape(cell.label), _against_baseline(content, cell), *(values[place] for values in columns.values())]
        for place, (cell, _) in enumerate(cells)
    ]
    return table(headers, rows, right=range(2, len(headers))) if rows else ""


def _are_described(content: Content) -> bool:
    """Whether the comparison of cells, which says what each one changes, stands before the grids."""
    named = content.view.plan.experiment.report.sections
    if len(content.cells) < 2 or not content.groups:
        return False
    return named is None or ("comparison" in named and named.index("comparison") < named.index("samples"))


def real_panels(content: Content) -> tuple[list[SamplePanel], list[dict[str, object]], list[str]]:
    """A panel of real images for each resolution of a cell, what report.json says of them, and which are missing."""
    panels, sources, missing = [], [], []
    for grid in asked_real_images(content.view.plan, content.view.manifest):
        path = content.view.directory.real_images(grid.resolution)
        picture, why = read_picture(path, grid.texts())
        if picture is None:
            told = content.language.say(
                "Real images at {pixels} pixels: {why}", pixels=grid.resolution, why=why(content.language)
            )
            missing.append(told)
            continue
        sources.append(_source(grid))
        language = content.figure_language
        about = language.say("{pixels} × {pixels} pixels, not generated", pixels=grid.resolution)
        panels.append(SamplePanel(language.say("Real images"), "", REAL_STYLE, 0, None, picture, about=about))
    return panels, sources, missing


def _source(grid: RealImages) -> dict[str, object]:
    return {"real_images": grid.images, "resolution": grid.resolution, "data_sha256": grid.data_sha256}


def _shown(sheets: Sheets) -> list[tuple[ReportCell, SamplePanel]]:
    """The cells whose grids are there."""
    pairs = zip(sheets.cells, sheets.panels, strict=True)
    return [(cell, panel) for cell, panel in pairs if panel.picture is not None]


def _settings(content: Content, sheets: Sheets) -> dict[str, list[str]]:
    """By name, the value of every cell that has a grid."""
    say, shown = content.language.say, _shown(sheets)
    levels = [cell.cell.hyperparameters for cell, _ in shown]
    return {
        say("latent size"): [str(hp.latent_dim) for hp in levels],
        say("resolution"): [str(hp.resolution) for hp in levels],
        say("step"): [str(panel.step) for _, panel in shown],
        say("seed"): [str(panel.seed) for _, panel in shown],
    }


def _against_baseline(content: Content, cell: ReportCell) -> str:
    if cell.cell.is_baseline:
        return content.language.say("(the baseline)")
    return content.language.listed(change.text for change in changes(content, cell))
