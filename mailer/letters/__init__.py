"""Letters: what is mailed, composed for a newsletter and language. Pure functions.

A letter is the same for all its readers. Where a reader's own link goes, it has the slot of that
purpose (`tokens.SLOTS`). While a letter is composed, random marks nobody can guess stand there;
slots spelt in words that others wrote are struck out before marks become slots. So a slot in a
letter, or in an edition kept in the database, is always one of ours.

    personal   confirm, already, address, renew, to staff
    digests    one edition; items: the articles in it; markdown: what editors say first
    headers    who writes, and what machines are told
    composing  templates → a letter; prose: their text, wrapped and cut
    specimens  one of each, to be looked at
"""

from mailer.letters.composing import Letter
from mailer.letters.digests import MOST_BYTES, digest, edition
from mailer.letters.headers import listed, return_path, sent_by
from mailer.letters.personal import address, already, confirm, host, renew, to_staff

__all__ = [
    "MOST_BYTES",
    "Letter",
    "address",
    "already",
    "confirm",
    "digest",
    "edition",
    "host",
    "listed",
    "renew",
    "return_path",
    "sent_by",
    "to_staff",
]
