"""What can be refused, by intent. Each refusal is one sentence that says what to do.

The sentence is a template in English and the key of its translation: pages translate it and then
fill in the values, so a value can never be taken for a template.
"""

from collections.abc import Sequence


class Refusal(Exception):
    """Something a person asked for and can't have; `field` is the input it speaks of, if any."""

    def __init__(self, sentence: str, *, field: str | None = None, **values: object) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field
        self.values = values

    def __str__(self) -> str:
        return self.sentence.format(**self.values)


class Invalid(Refusal):
    """The input is malformed or incomplete."""


class Several(Invalid):
    """More than one thing is wrong with the input; `each` says what, the first speaks for all."""

    def __init__(self, each: Sequence[Invalid]) -> None:
        first = each[0]
        super().__init__(first.sentence, field=first.field, **first.values)
        self.each = tuple(each)

    def __str__(self) -> str:
        return " ".join(map(str, self.each))


class Unknown(Refusal):
    """What was named does not exist."""


class Conflict(Refusal):
    """It can't be done in the present state."""


class Changed(Conflict):
    """It is not as it was when who asks has seen it."""


class Unseen(Refusal):
    """Who asks has not said which version they have seen."""


class Unauthenticated(Refusal):
    """Who asks has not shown who they are."""


class NotAllowed(Refusal):
    """Who asks may not do that."""


class TooMany(Refusal):
    """It was asked too often; `retry_after` is in seconds."""

    def __init__(self, sentence: str, *, retry_after: int, **values: object) -> None:
        super().__init__(sentence, field=None, **values)
        self.retry_after = retry_after


class Misconfigured(Refusal):
    """A setting is missing or malformed; the sentence names it and what was expected."""


class Unavailable(Refusal):
    """Something we depend on (a database, a mail server) does not answer."""
