"""The sections of a report, a module each: `body(content, album)` gives its Markdown and draws its pictures."""
