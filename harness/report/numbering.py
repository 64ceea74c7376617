"""Numbers and captions of a report's figures and tables, set in once, in the order in which a reader meets them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.album import Picture
from harness.report.content import Content
from harness.report.language import Language
from harness.report.markdown import escape

_PICTURE = re.compile(r"!\[.*\]\((\S+)\)")
_HEADING = re.compile(r"#{3,6} (.+)")
_FENCE = re.compile(r"(`{3,}|~{3,})")
TABLE_TITLE = "Table: "
"""Begins a line of its own over a table that is not to be named by its heading; the rest is its title."""


@dataclass
class Numbering:
    """What was numbered so far, over all sections of one report. pictures: of the album, by path."""

    language: Language
    cells: Mapping[str, str]
    pictures: Mapping[str, Picture]
    figures: int = 0
    tables: int = 0

    def numbered(self, body: str, heading: str) -> str:
        """A section's Markdown with a numbered caption under every picture of the album and over every table.

        heading: the section's, which names tables that stand under no heading of their own. Fenced blocks stay.
        """
        lines: list[str] = []
        fence, title, under, before = "", "", heading, ""
        for line in body.splitlines():
            mark = _FENCE.match(line)
            if mark and (not fence or line.rstrip() == fence):
                fence = "" if fence else mark.group()
            elif fence:
                pass
            elif found := _HEADING.match(line):
                under = found.group(1)
            elif line.startswith(TABLE_TITLE):
                title = line.removeprefix(TABLE_TITLE)
                continue
            elif line.startswith("|") and not before:
                lines += [self._of_table(title or under), ""]
                title = ""
            elif (found := _PICTURE.fullmatch(line)) and found.group(1) in self.pictures:
                lines += self._of_picture(self.pictures[found.group(1)])
                before = line
                continue
            lines.append(line)
            before = line
        return "\n".join(lines)

    def _of_table(self, title: str) -> str:
        self.tables += 1
        return self.language.say("**Table {number}.** {title}", number=self.tables, title=title)

    def _of_picture(self, picture: Picture) -> list[str]:
        """The picture and its caption as one paragraph of two lines."""
        self.figures += 1
        title, say = escape(picture.title), self.language.say
        seeds, steps = _seeds(picture, self.cells, self.language), _steps(picture, self.language)
        caption = (
            say(
                "**Figure {number}.** {title}; {seeds}, {steps}.",
                number=self.figures,
                title=title,
                seeds=seeds,
                steps=steps,
            )
            if seeds and steps
            else say("**Figure {number}.** {title}.", number=self.figures, title=title)
        )
        return [f"![{title}]({picture.path})  ", caption]


def numbering(content: Content, pictures: Sequence[Picture]) -> Numbering:
    """Of one report, from figure and table 1 on."""
    cells = {run.key: cell.cell.name for cell in content.cells for run in cell.runs}
    return Numbering(content.language, cells, {picture.path: picture for picture in pictures})


def _seeds(picture: Picture, cells: Mapping[str, str], language: Language) -> str:
    """Of how many seeds a cell is shown, or of which one; empty where the picture is of no run."""
    seeds: dict[str, set[int]] = {}
    for source in _runs(picture):
        seeds.setdefault(cells.get(source["key"], ""), set()).add(source["seed"])
    counts = sorted({len(found) for found in seeds.values()})
    if not counts:
        return ""
    if counts[-1] == 1:
        alone = sorted(set().union(*seeds.values()))
        return language.say("one seed per cell") if len(alone) > 1 else language.say("seed {seed}", seed=alone[0])
    if len(counts) == 1:
        return language.plural("n = {n} seed per cell", "n = {n} seeds per cell", counts[0])
    return language.say("n = {low} to {high} seeds per cell", low=counts[0], high=counts[-1])


def _steps(picture: Picture, language: Language) -> str:
    """At which steps, or up to which one for curves of records; empty where the picture is of no run."""
    steps = sorted({source["step"] for source in _runs(picture) if "step" in source})
    records = [source["records_to_step"] for source in _runs(picture) if "records_to_step" in source]
    if steps:
        if len(steps) == 1:
            return language.say("step {step}", step=steps[0])
        return language.say("steps {low} to {high}", low=steps[0], high=steps[-1])
    return language.say("up to step {step}", step=max(records)) if records else ""


def _runs(picture: Picture) -> list[dict[str, Any]]:
    return [source for source in picture.sources if "key" in source and "seed" in source]
