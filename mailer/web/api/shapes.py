"""Shapes: what a value from outside has to be. Each describes itself in JSON Schema, and reads what
it described; so the API's description and what it lets in are one.

`read` gives the value as the program uses it. Raises Invalid that names the field, or Several.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlsplit

from mailer.errors import Invalid, Several

Schema: TypeAlias = dict[str, Any]

MOST_LANGUAGES = 50
LANGUAGE = r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*"
LARGEST = 10**18 - 1


class Shape(Protocol):
    """One kind of value."""

    @property
    def schema(self) -> Schema: ...
    def read(self, value: object, name: str) -> Any: ...


@dataclass(frozen=True)
class Text:
    """Characters that can be seen; line breaks and tabs only with `lines`."""

    most: int
    least: int = 1
    pattern: str | None = None
    lines: bool = False
    description: str | None = None

    @property
    def schema(self) -> Schema:
        # Not by length alone: of what can't be seen PostgreSQL refuses some, and readers all.
        unseen = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"
        line = "" if self.lines else r"\t\n\r"
        pattern = self.pattern or rf"^[^{unseen}{line}]*$"
        return described(
            {
                "type": "string",
                "minLength": self.least,
                "maxLength": self.most,
                "pattern": pattern,
            },
            self.description,
        )

    def read(self, value: object, name: str) -> str:
        if not isinstance(value, str) or not self.least <= len(value) <= self.most:
            raise Invalid(
                "{name} must be text of {least} to {most} characters.",
                field=name,
                name=name,
                least=self.least,
                most=self.most,
            )
        if self.pattern is not None and not re.search(self.pattern, value):
            raise Invalid("{name} is not spelt as it must be.", field=name, name=name)
        if not all(map(self.is_seen, value)) or (self.least and not value.strip()):
            raise Invalid("{name} must be in visible characters.", field=name, name=name)
        return value

    def is_seen(self, character: str) -> bool:
        if character in "\t\n\r":
            return self.lines
        return unicodedata.category(character) not in ("Cc", "Cs")


@dataclass(frozen=True)
class Whole:
    """A number without fraction; in a path or query as its digits."""

    most: int = LARGEST
    least: int = 1
    usual: int | None = None
    description: str | None = None

    @property
    def schema(self) -> Schema:
        usual = {} if self.usual is None else {"default": self.usual}
        bounds = {"type": "integer", "minimum": self.least, "maximum": self.most}
        return described({**bounds, **usual}, self.description)

    def read(self, value: object, name: str) -> int:
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # 1.0 is an integer in JSON Schema
        if isinstance(value, bool) or not isinstance(value, int) or not self.fits(value):
            raise Invalid(
                "{name} must be a number from {least} to {most}.",
                field=name,
                name=name,
                least=self.least,
                most=self.most,
            )
        return value

    def fits(self, value: int) -> bool:
        return self.least <= value <= self.most


@dataclass(frozen=True)
class Flag:
    """True or false."""

    description: str | None = None

    @property
    def schema(self) -> Schema:
        return described({"type": "boolean"}, self.description)

    def read(self, value: object, name: str) -> bool:
        if not isinstance(value, bool):
            raise Invalid("{name} must be true or false.", field=name, name=name)
        return value


@dataclass(frozen=True)
class OneOf:
    """One of some words."""

    words: Sequence[str]
    description: str | None = None

    @property
    def schema(self) -> Schema:
        return described({"type": "string", "enum": list(self.words)}, self.description)

    def read(self, value: object, name: str) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise Invalid(
                "{name} must be one of {known}.",
                field=name,
                name=name,
                known=", ".join(self.words),
            )
        return value


@dataclass(frozen=True)
class Moment:
    """A time with its zone (RFC 3339)."""

    description: str | None = None

    @property
    def schema(self) -> Schema:
        return described({"type": "string", "format": "date-time"}, self.description)

    def read(self, value: object, name: str) -> datetime:
        try:
            found = datetime.fromisoformat(value) if isinstance(value, str) else None
            if found is not None and found.utcoffset() is not None:
                found.timestamp()  # beyond the years that there are, it fails
                return found
        except (ValueError, OverflowError):
            pass
        raise Invalid(
            "{name} must be a time with its zone, such as 2026-03-01T09:00:00+01:00.",
            field=name,
            name=name,
        )


@dataclass(frozen=True)
class Web:
    """An http(s) address."""

    most: int = 2000
    description: str | None = None

    @property
    def schema(self) -> Schema:
        return described(
            {"type": "string", "maxLength": self.most, "format": "uri", "pattern": "^https?://"},
            self.description,
        )

    def read(self, value: object, name: str) -> str:
        text = Text(self.most).read(value, name)
        try:
            found = urlsplit(text)
        except ValueError:
            found = urlsplit("")
        if found.scheme not in ("http", "https") or not found.hostname:
            raise Invalid("{name} is not spelt as it must be.", field=name, name=name)
        return text


@dataclass(frozen=True)
class Listed:
    """Some of one shape."""

    each: Shape
    most: int
    least: int = 0
    description: str | None = None

    @property
    def schema(self) -> Schema:
        bounds = {"minItems": self.least, "maxItems": self.most}
        return described({"type": "array", "items": self.each.schema, **bounds}, self.description)

    def read(self, value: object, name: str) -> list[Any]:
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            raise Invalid(
                "{name} must be a list of {least} to {most}.",
                field=name,
                name=name,
                least=self.least,
                most=self.most,
            )
        return [self.each.read(each, f"{name}[{n}]") for n, each in enumerate(value)]


@dataclass(frozen=True)
class ByLanguage:
    """Texts by the code of their language."""

    each: Text
    least: int = 1
    description: str | None = None

    @property
    def schema(self) -> Schema:
        return described(
            {
                "type": "object",
                "propertyNames": {"pattern": f"^{LANGUAGE}$"},
                "additionalProperties": self.each.schema,
                "minProperties": self.least,
                "maxProperties": MOST_LANGUAGES,
            },
            self.description,
        )

    def read(self, value: object, name: str) -> dict[str, str]:
        if not isinstance(value, dict) or not self.least <= len(value) <= MOST_LANGUAGES:
            raise Invalid(
                '{name} must be an object by language, such as {{"en": "…"}}.',
                field=name,
                name=name,
            )
        for code in value:
            if not re.fullmatch(LANGUAGE, code):
                raise Invalid("Give the language as a code, such as en.", field=name)
        return {code: self.each.read(text, f"{name}.{code}") for code, text in value.items()}


@dataclass(frozen=True)
class Some:
    """Or null."""

    shape: Shape

    @property
    def schema(self) -> Schema:
        return {"anyOf": [self.shape.schema, {"type": "null"}]}

    def read(self, value: object, name: str) -> Any:
        return None if value is None else self.shape.read(value, name)


@dataclass(frozen=True)
class Thing:
    """An object with these fields, of which some are `needed`, and no others."""

    fields: Mapping[str, Shape]
    needed: Sequence[str] = ()
    least: int = 0

    @property
    def schema(self) -> Schema:
        found: Schema = {
            "type": "object",
            "properties": {name: shape.schema for name, shape in self.fields.items()},
            "required": list(self.needed),
            "additionalProperties": False,
        }
        return {**found, "minProperties": self.least} if self.least else found

    def read(self, value: object, name: str = "") -> dict[str, Any]:
        """All that is wrong is said at once."""
        if not isinstance(value, dict):
            raise Invalid("{name} must be an object.", field=name or "body", name=name or "body")
        faults: list[Invalid] = []
        found: dict[str, Any] = {}
        for key in [*value, *(key for key in self.needed if key not in value)]:
            try:
                found[key] = self.one(value, key, f"{name}.{key}" if name else key)
            except Several as several:
                faults += several.each
            except Invalid as fault:
                faults.append(fault)
        if not faults and len(found) < self.least:
            faults.append(
                Invalid("Say what is to change: {known}.", field="body", known=self.known)
            )
        if faults:
            raise Several(faults)
        return found

    def one(self, value: Mapping[str, object], key: str, name: str) -> Any:
        if key not in self.fields:
            raise Invalid(
                "{name} is not known here; {known} are.",
                field=name[:80],
                name=name[:80],
                known=self.known,
            )
        if key not in value:
            raise Invalid("{name} is missing.", field=name, name=name)
        return self.fields[key].read(value[key], name)

    @property
    def known(self) -> str:
        return ", ".join(self.fields) or "none"


@dataclass(frozen=True)
class Given:
    """An object that a noun reads by itself; `as_schema` says what it takes."""

    as_schema: Schema = field(repr=False)

    @property
    def schema(self) -> Schema:
        return self.as_schema

    def read(self, value: object, name: str = "") -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Invalid("{name} must be an object.", field=name or "body", name=name or "body")
        return value


def described(schema: Schema, description: str | None) -> Schema:
    return {**schema, "description": description} if description else schema


# answers, which are only described


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def some(schema: Schema) -> Schema:
    """Or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def exactly(kind: Mapping[str, Schema]) -> Schema:
    """An object of which every property is there."""
    return {
        "type": "object",
        "required": list(kind),
        "properties": dict(kind),
        "additionalProperties": False,
    }


def list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


TIME: Schema = {"type": "string", "format": "date-time"}
WORD: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
YES_NO: Schema = {"type": "boolean"}
BY_LANGUAGE: Schema = {"type": "object", "additionalProperties": WORD}


def page_of(noun: str, schema: Schema) -> Schema:
    """A part of a list; `next`: where the rest is, as the Link header says too."""
    return exactly({noun: list_of(schema), "next": some(WORD)})
