"""For a wrong answer, the good one that its author probably meant."""

import posixpath
import re
import unicodedata
from collections.abc import Iterator, Mapping

from slugify import slugify

from .answers import EXAMPLES, RULES, Refused
from .zones import NEW_NAMES, ZONES


def suggestion(answer: str, value: object, answers: Mapping[str, object]) -> str:
    """The first candidate that the rules accept; empty where nothing can be made of the value."""
    for candidate in candidates(answer, str(value)):
        others = {name: answers.get(name) for name in ("bind", "web_interface") if name != answer}
        if is_good(answer, candidate) and candidate not in others.values():
            return candidate
    return ""


def is_good(answer: str, value: str) -> bool:
    """Whether the answer's rule accepts the value."""
    try:
        RULES[answer](value)
    except Refused:
        return False
    return True


def candidates(answer: str, value: str) -> Iterator[str]:
    """What the author may have meant, the likeliest first; the rules have not seen it yet."""
    match answer:
        case "project_slug":
            yield from slugs(value)
        case "project_name" | "description" | "author_name":
            seen = "".join(c for c in value if unicodedata.category(c)[0] not in "CZ" or c == " ")
            without_templates = re.sub(r"[{%#}]", "", seen).strip()
            yield without_templates
            yield without_templates[: 200 if answer == "description" else 80].strip()
        case "email":
            yield from re.findall(r"[^\s<>,;@]+@[^\s<>,;@]+", value)
        case "domain_name":
            host = re.sub(r"^\w+://|[/:?#].*$", "", value.strip())
            yield host.removeprefix("*.").rstrip(".")
        case "time_zone":
            yield from zones(value)
        case "bind" | "web_interface":
            yield from addresses(value)
            yield EXAMPLES[answer]
        case "install_dir":
            path = posixpath.normpath(f"/{value}".replace("//", "/"))
            yield path
            yield f"/srv/{slugify(posixpath.basename(path), separator='_')}"
        case "run_user":
            yield slugify(value)
            yield "www-data"


def slugs(name: str) -> Iterator[str]:
    """Package names made from a site's name."""
    name = slugify(name, separator="_")[:35].strip("_")
    yield name
    yield f"{name}_site"
    yield f"site_{name}"


def zones(value: str) -> Iterator[str]:
    """Zones of the tz database that are spelled like the value, or whose city is; of an old name, the new."""
    wanted = value.strip().replace(" ", "_").lower()
    names = sorted([*ZONES, *NEW_NAMES])
    spelled = [name for name in names if name.lower() == wanted]
    spelled += [name for name in names if name.lower().rpartition("/")[2] == wanted]
    yield from (NEW_NAMES.get(name, name) for name in spelled)


def addresses(value: str) -> Iterator[str]:
    """127.0.0.1 with the port at the end of the value, then with higher ones, if it needs root."""
    found = re.search(r"[0-9]+$", value.strip())
    if found:
        port = int(found[0])
        yield f"127.0.0.1:{port}"
        yield f"127.0.0.1:{port + 1}"
        yield f"127.0.0.1:{port + 8000}"
