"""A Markdown document as its tests read it: sections, code, links, prose."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from markdown_it import MarkdownIt
from markdown_it.token import Token

from local_extensions.translations import NARROW_NO_BREAK_SPACE, NO_BREAK_SPACE

# Code in a line of prose that is a whole command; a name alone is none.
COMMAND = re.compile(r"(?:apt|cookiecutter|docker|pip|pre-commit|ssh|sudo|[\w.~]*/\S+) \S")


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
class Document:
    """A README, or a chapter of the lesson."""

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

    @property
    def links(self) -> list[str]:
        """Where links and pictures lead."""
        return [link for section in self.sections for link in section.links]

    def check_translation(self, english: "Document", in_french: Callable[[str], str]) -> None:
        """Asserts that this one says what the English one says, in the same places.

        `in_french` gives code, or a link, of the English one as the French one has it.
        """
        assert [each.level for each in self.sections] == [each.level for each in english.sections]
        for ours, theirs in zip(self.sections, english.sections, strict=True):
            blocks = [(kind, in_french(text)) for kind, text in theirs.blocks]
            assert ours.blocks == blocks, ours.title
            assert sorted(ours.spans) == sorted(map(in_french, theirs.spans)), ours.title
            assert ours.links == list(map(in_french, theirs.links)), ours.title
            assert len(ours.prose) == len(theirs.prose), ours.title

    def check_typography(self) -> None:
        """Asserts that its prose is written as French is, and that its code is not."""
        for section in self.sections:
            for prose in section.prose:
                assert faults(prose) == [], prose
            for code in (*section.spans, *(text for _, text in section.blocks)):
                assert not re.search("[\u202f\u00a0’«»]", code), code


def faults(french: str) -> list[str]:
    """What is not as in a French book: spaces, apostrophes, quotation marks, accents."""
    wrong = (
        f"(?<!{NARROW_NO_BREAK_SPACE})[;!?]|(?<!{NO_BREAK_SPACE})[:»]|«(?!{NO_BREAK_SPACE})"
        r"|['\"]|[.]{3}|oeu|\b(?:A|Ca|Etat|Ecri[tv]\w*)\b"
    )
    return re.findall(wrong, french)


def _inline(tokens: list[Token], section: Section) -> str:
    """The prose of a paragraph; its code and links go to the section."""
    prose, inside_link = "", False
    for token in tokens:
        if token.type == "code_inline":
            section.spans.append(token.content)
        elif token.type == "link_open":
            section.links.append(str(token.attrs["href"]))
        elif token.type == "image":
            section.links.append(str(token.attrs["src"]))
        inside_link = token.type == "link_open" or (inside_link and token.type != "link_close")
        if token.type == "softbreak":
            prose += " "
        elif token.type in ("text", "image") and not inside_link:
            prose += token.content
        elif token.type in ("code_inline", "link_close"):
            prose += "x"
    return prose


def typed(document: str) -> Iterator[tuple[str, str]]:
    """Commands in their order: "sh" and a block or a piece of prose; "text" and what they show.

    Files too: "python", "html" or "diff", with the name that was the last piece of code before it.
    """
    code = ""
    for token in MarkdownIt("commonmark").enable("table").parse(document):
        if token.type == "fence" and token.info in ("sh", "text"):
            yield token.info, token.content
        elif token.type == "fence" and code and token.info in ("python", "html", "diff"):
            yield f"{token.info} {code}", token.content
        for child in token.children or ():
            if child.type == "code_inline":
                code = child.content
                if COMMAND.match(code):
                    yield "sh", f"{code}\n"
