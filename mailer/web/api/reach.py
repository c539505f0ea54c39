"""How far a token reaches: to every newsletter, or to one."""

from mailer import newsletters
from mailer.access import Token
from mailer.db import Connection
from mailer.errors import Invalid, NotAllowed, Unknown
from mailer.newsletters import Newsletter


def allowed(token: Token, newsletter: int) -> bool:
    return token.newsletter in (None, newsletter)


async def reached(conn: Connection, token: Token, slug: object) -> Newsletter:
    """The newsletter that a body or query names. Raises Invalid or NotAllowed."""
    if not isinstance(slug, str):
        raise Invalid("newsletter is missing: give its slug.", field="newsletter")
    try:
        newsletter = await newsletters.find(conn, slug)
    except Unknown:
        raise Invalid("There is no newsletter {slug}.", field="newsletter", slug=slug) from None
    if not allowed(token, newsletter.id):
        raise NotAllowed("This token is for another newsletter.", field="newsletter")
    return newsletter


async def named(conn: Connection, token: Token, slug: str) -> Newsletter:
    """The newsletter that a path names; one that the token is not for, there is not.

    Raises Unknown.
    """
    newsletter = await newsletters.find(conn, slug)
    if not allowed(token, newsletter.id):
        raise Unknown("There is no newsletter {slug}.", field="newsletter", slug=slug)
    return newsletter


def everything(token: Token) -> None:
    """What concerns all newsletters is not for a token of one. Raises NotAllowed."""
    if token.newsletter is not None:
        raise NotAllowed("This token is for one newsletter, and this concerns them all.")


async def only(conn: Connection, token: Token, slug: str | None) -> str | None:
    """The slug to filter by: the one asked for, else the token's own. Raises Invalid or
    NotAllowed."""
    if slug is not None:
        return (await reached(conn, token, slug)).slug
    return (await newsletters.get(conn, token.newsletter)).slug if token.newsletter else None
