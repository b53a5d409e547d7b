"""Every short text in the user's language, written as that language is written.

The English text is the key; `french.FRENCH` holds its translation. Longer prose lives in whole
files per language (`templates/`).
"""

import codecs
import re
import unicodedata

NO_BREAK_SPACE = "\u00a0"
NARROW_NO_BREAK_SPACE = "\u202f"
KEYBOARD = str.maketrans({"’": "'", NO_BREAK_SPACE: " ", NARROW_NO_BREAK_SPACE: " ", "œ": "oe"})


def gettext_noop(text: str) -> str:
    """Returns `text` as it is: the tests find it so in our code, and look for its French.

    It is translated later, when the language is known. Source: the GNU gettext manual, 4.7.
    """
    return text


def translate(text: str, language: str) -> str:
    """`text`, an English text of the catalogue, in `language`; anything but "fr" stays English.

    Raises KeyError where the catalogue lacks it: a half-French project is a bug.
    """
    if language != "fr":
        return text
    from .french import FRENCH  # only here: the catalogue is most of what a hook would load

    return FRENCH[text]


def french_typography(text: str) -> str:
    """French spaces and apostrophes for a text typed on an ordinary keyboard.

    Source: Lexique des règles typographiques en usage à l'Imprimerie nationale.
    """
    text = re.sub(r"(?<=\w)'", "’", text)
    text = re.sub(r" (?=[;!?])", NARROW_NO_BREAK_SPACE, text)
    return re.sub(r" (?=[:»])|(?<=«) ", NO_BREAK_SPACE, text)


def keyboard(text: str) -> str:
    """`text` without typographic characters, as code and old terminals want it."""
    return text.translate(KEYBOARD)


def printable(text: str, encoding: str) -> str:
    """`text` as a terminal of this encoding can show it: what it lacks comes without its accent."""
    return text.encode(encoding, "plainer").decode(encoding)


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """What stands for a character that an encoding lacks; see `codecs.register_error`."""
    assert isinstance(error, UnicodeEncodeError)
    letters = unicodedata.normalize("NFKD", keyboard(error.object[error.start]))
    return letters.encode("ascii", "ignore").decode() or "?", error.start + 1


codecs.register_error("plainer", _plainer)
