"""The generated README as its tests read it: headings, code, links and prose, without the rest."""

import re
from dataclasses import dataclass, field
from functools import cached_property

from markdown_it import MarkdownIt
from markdown_it.token import Token


@dataclass
class Section:
    """A heading, and what stands between it and the next."""

    level: str
    title: str = ""
    # Language ("sh", "text", …) and text of each block of code.
    blocks: list[tuple[str, str]] = field(default_factory=list)
    spans: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    # Each paragraph or cell of a table, with x for what is code or a link.
    prose: list[str] = field(default_factory=list)

    def block(self, language: str) -> str:
        """The only block of this language."""
        (text,) = (text for found, text in self.blocks if found == language)
        return text


@dataclass
class Lesson:
    """A README."""

    text: str

    @cached_property
    def sections(self) -> list[Section]:
        sections: list[Section] = []
        tokens = MarkdownIt("commonmark").enable("table").parse(self.text)
        for before, token in zip([None, *tokens], tokens, strict=False):
            if token.type == "heading_open":
                sections.append(Section(token.tag))
            elif token.type == "fence":
                sections[-1].blocks.append((token.info, token.content))
            elif token.type == "inline":
                prose = _inline(token.children or [], sections[-1])
                sections[-1].prose.append(prose)
                if before and before.type == "heading_open":
                    sections[-1].title = prose
        return sections

    def section(self, title: str) -> Section:
        (found,) = (section for section in self.sections if section.title == title)
        return found

    @property
    def spans(self) -> list[str]:
        return [span for section in self.sections for span in section.spans]


def _inline(tokens: list[Token], section: Section) -> str:
    """The prose of a paragraph; its code and links go to the section."""
    prose, inside_link = "", False
    for token in tokens:
        if token.type == "code_inline":
            section.spans.append(token.content)
        elif token.type == "link_open":
            section.links.append(str(token.attrs["href"]))
        inside_link = token.type == "link_open" or (inside_link and token.type != "link_close")
        if token.type == "softbreak":
            prose += " "
        elif token.type == "text" and not inside_link:
            prose += token.content
        elif token.type in ("code_inline", "link_close"):
            prose += "x"
    return prose


def shown(expected: str, output: str) -> bool:
    """Whether every line of a sample is in the output; numbers, ages and `…` may be others."""
    lines = map(re.escape, expected.splitlines())
    return all(re.search(_free(line), output) for line in lines)


def _free(line: str) -> str:
    line = re.sub(r"uptime\\ [\d:]+", r"uptime\\ \\S+", line)
    line = re.sub(r"(pid\\ |pid=|fd=)\d+", r"\1\\d+", line)
    return line.replace("…", r"\S*")
