"""Reading a page back: its elements, what it would ask for, and the data of its sliders."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any


class Reader(HTMLParser):
    """Tags with their attributes, texts outside of scripts and styles, and scripts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        if inside == "script":
            self.scripts.append(data)
        elif inside != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        """What a reader sees."""
        return " ".join(" ".join(self.texts).split())

    @property
    def sliders(self) -> list[dict[str, Any]]:
        """The data of every slider."""
        return [json.loads(script) for script in self.scripts if script.startswith("{")]


def looked_up(data: dict[str, Any], value: float) -> tuple[int, float | None]:
    """The piece and the objective at a value, as the page's script looks them up."""
    starts, stops = data["starts"], data["stops"]
    last = len(starts) - 1
    if data["limit"]:
        k = max((k for k in range(last + 1) if starts[k] <= value * (1 + data["slack"])), default=0)
    else:
        k = next((k for k in range(last) if not stops[k] < value), last)
    line = data["lines"][k]
    if line is None:
        return k, None
    return k, line[0] + (line[1] * (1 / value if data["inverse"] else value) if line[1] else 0.0)
