"""The first page: what needs somebody, how many readers there are, what became of digests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from mailer import backups, census, domain, log, newsletters, outbox, subject_requests, troubles
from mailer.db import Connection
from mailer.domain import Finding
from mailer.newsletters import Newsletter
from mailer.subject_requests import Pressing
from mailer.troubles import Trouble
from mailer.web import desk, page
from mailer.web.desk import Who
from mailer.web.staff import chart

DIGESTS = 8
DAYS = (30, 90, 365)
LAG_SECONDS = 60.0
ANSWERING = ("owner", "privacy")


@dataclass(frozen=True)
class Standing:
    """What is wrong with the service itself, if anything. `backup`: when the latest was made, if
    that is long ago; `domain`: what DNS says of it that it should not."""

    no_worker: bool
    letters_wait: bool
    log_behind: bool
    log_stopped: bool
    backup: datetime | None
    domain: Sequence[Finding]

    @property
    def well(self) -> bool:
        return not any(vars(self).values())


async def show(request: web.Request, who: Who) -> web.Response:
    """GET /staff?newsletter=&language=&days="""
    async with request.app[page.POOL].acquire() as conn:
        series = await newsletters.all_(conn)
        wanted = next((n for n in series if n.slug == request.query.get("newsletter")), None)
        language = chosen_language(request, series)
        days = chosen_days(request)
        counted = await census.over(conn, days, wanted.id if wanted else None, language)
        groups = await census.groups(conn)
        outcomes = await census.outcomes(conn, DIGESTS)
        standing, needing = await standing_of(conn, who), await needing_somebody(conn, who)
        pressing = await pressing_requests(conn, who)
    return desk.answer(
        request,
        who,
        "staff/home.html",
        series=series,
        tongues=sorted({code for newsletter in series for code in newsletter.languages}),
        of={newsletter.id: newsletter for newsletter in series},
        wanted=wanted,
        tongue=language,
        days=days,
        offered_days=DAYS,
        counted=counted,
        drawn=chart.draw(counted),
        groups=groups,
        outcomes=outcomes,
        standing=standing,
        troubles=needing,
        pressing=pressing,
    )


def chosen_language(request: web.Request, series: Sequence[Newsletter]) -> str | None:
    asked = request.query.get("language")
    return asked if any(asked in newsletter.languages for newsletter in series) else None


def chosen_days(request: web.Request) -> int:
    return next((days for days in DAYS if str(days) == request.query.get("days")), DAYS[1])


async def standing_of(conn: Connection, who: Who) -> Standing:
    mends = who.role in troubles.TOLD
    return Standing(
        no_worker=await outbox.workers(conn) == 0,
        letters_wait=await outbox.objection(conn) is not None,
        log_behind=await log.lag(conn) > LAG_SECONDS,
        log_stopped=await log.objection(conn) is not None,
        backup=await backups.overdue(conn) if mends else None,
        domain=await domain.known(conn) if mends else (),
    )


async def needing_somebody(conn: Connection, who: Who) -> list[Trouble]:
    """Whoever only looks at numbers is not asked to mend anything."""
    return await troubles.present(conn) if who.role in troubles.TOLD else []


async def pressing_requests(conn: Connection, who: Who) -> Pressing | None:
    """Of people about their data: for those who answer them."""
    return await subject_requests.pressing(conn) if who.role in ANSWERING else None
