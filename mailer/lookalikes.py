"""Lookalikes: addresses that are not what they seem, and those that were only mistyped.

Who writes gmail.com with a Cyrillic letter (or has been sent that) would wait for ever, or send
their mail to a stranger: such an address is refused. Who writes gmial.com is asked whether they
meant gmail.com, and that alone. Nothing of this depends on anything but what was typed.
"""

import re
import unicodedata
from functools import lru_cache

from mailer import providers
from mailer.address import FIELD, Address
from mailer.errors import Invalid

ALPHABETS = frozenset(
    ("LATIN", "CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "GEORGIAN", "CHEROKEE", "LISU", "DESERET",
     "MATHEMATICAL", "FULLWIDTH")
)  # fmt: skip
"""Those with letters that look alike; the first word of their names in Unicode. Others may be mixed
(Japanese is written in three)."""

LETTERS = re.compile(r"[^\W\d_]+")

ALIKE = str.maketrans(
    "абгеёкмнопрстухьіїјѕһӏԁԛԝѵғҟ" + "αγεηικνορτυχω" + "օոսհցյզքւ" + "ıɡɑᴏ",
    "abreekmhonpctyxbiijshldqwvfk" + "ayenikvoptuxw" + "onuhgjqpl" + "igao",
)
"""Small letters of other alphabets, and the Latin ones that they look like."""

KNOWN = frozenset(providers.NAMES) | {
    *("wp.pl", "o2.pl", "onet.pl", "op.pl", "interia.pl", "gazeta.pl", "poczta.onet.pl"),
    *("i.ua", "meta.ua", "bigmir.net", "mail.ua", "mail.kz", "tut.by"),
    *("free.fr", "laposte.net", "sfr.fr", "bbox.fr", "neuf.fr"),
    *("posteo.de", "mailbox.org", "freenet.de", "arcor.de", "bluewin.ch"),
    *("tutanota.com", "tuta.io", "riseup.net", "fastmail.com", "zoho.com"),
    *("outlook.fr", "live.fr", "live.ru", "hotmail.es", "yahoo.es", "att.net", "verizon.net"),
}
"""Domains that many people's addresses are of."""

REAL = frozenset(("email.com", "email.de", "mail.de", "mail.fr", "gmail.ru", "ymail.de", "web.com"))
"""Near to one of them, and yet meant."""

SHORTEST = 6
LONG = 9
"""One slip is seen in a domain of so many characters; two in a longer one."""


def check(address: Address) -> None:
    """Raises Invalid for what mixes alphabets in a word, or only looks like a known domain."""
    local, _, domain = address.given.rpartition("@")
    if any(len(alphabets(word)) > 1 for word in LETTERS.findall(f"{local}@{domain}")):
        raise Invalid(
            "Letters of different alphabets are mixed in this address: "
            "type it again in one alphabet.",
            field=FIELD,
        )
    seems = domain.lower().translate(ALIKE)
    if not domain.isascii() and seems in KNOWN:
        raise Invalid(
            "This looks like {domain}, but other letters are in it: type it in Latin letters.",
            field=FIELD,
            domain=seems,
        )


def alphabets(word: str) -> set[str]:
    named = (unicodedata.name(letter, "").partition(" ")[0] for letter in word)
    return {name for name in named if name in ALPHABETS}


def meant(email: str) -> str | None:
    """The known domain that was probably meant, where another was typed."""
    return nearest(email.strip().rpartition("@")[2].lower())


@lru_cache(maxsize=4096)
def nearest(typed: str) -> str | None:
    if typed in KNOWN or typed in REAL:
        return None
    letters = set(typed)
    near = [
        (slips(typed, known, 2), known)
        for known in KNOWN
        # Two slips change four letters at most: most are told apart by that alone.
        if abs(len(known) - len(typed)) <= 2 and len(letters ^ set(known)) <= 4
    ]
    return min(((n, known) for n, known in near if n <= allowed(known)), default=(0, None))[1]


def allowed(known: str) -> int:
    if len(known) < SHORTEST:
        return 0
    return 2 if len(known) >= LONG else 1


def slips(one: str, other: str, most: int) -> int:
    """Letters left out, added, changed or swapped with their neighbour (the distance of optimal
    string alignment); `most` + 1 stands for more than `most`."""
    before, row = [0] * (len(other) + 1), list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        earlier, before = before, row
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)
