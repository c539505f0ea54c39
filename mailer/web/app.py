"""The site: one table of routes, what surrounds every answer, start and stop."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

from aiohttp import web

from mailer import keys
from mailer.config import Settings
from mailer.db import Pool
from mailer.errors import Misconfigured, Unavailable
from mailer.mailbox import Mailbox
from mailer.staff import Role
from mailer.vault import Vault
from mailer.web import (
    api,
    archive,
    desk,
    guard,
    health,
    hooks,
    inbox,
    issues,
    links,
    lists,
    log,
    manage,
    metrics,
    officer,
    page,
    pictures,
    public,
    record,
    rights,
)
from mailer.web.content import feeds as content_feeds
from mailer.web.content import newsletters as content_newsletters
from mailer.web.content import notices as content_notices
from mailer.web.intake import INTAKE, Intake
from mailer.web.known import KNOWN, Known
from mailer.web.patience import Patient
from mailer.web.staff import account, accounts, entrance, factor, home, organisation, passkeys
from mailer.web.staff import acts as staff_acts
from mailer.web.staff import links as links_of_staff

LOG = logging.getLogger(__name__)
ACCESS = logging.getLogger("mailer.web.access")
SHUTDOWN_SECONDS = 10
BACKLOG = 1024
"""Connections that wait to be taken, when very many come at once."""

ROUTES = [
    web.get("/", public.home),
    web.get("/form", public.form),
    web.get("/embed.js", page.embed),
    web.get("/subscribe", public.offer),
    web.post("/subscribe", public.subscribe),
    web.options("/subscribe", public.preflight),
    web.post("/subscribe/solution", public.solution),
    web.get("/check-inbox", public.check_inbox),
    web.get("/notice/{id:[0-9a-f]{32}}", public.notice),
    web.get("/notices/{slug}", public.notice_versions),
    web.get("/confirm/{token}", links.confirm_page),
    web.post("/confirm/{token}", links.confirm),
    web.post("/confirm/{token}/again", links.ask_again),
    web.get("/refuse/{token}", links.refuse_page),
    web.post("/refuse/{token}", links.refuse),
    web.get("/renew/{token}", links.renew_page),
    web.post("/renew/{token}", links.renew),
    web.get("/u/{token}", links.leave_page),
    web.post("/u/{token}", links.leave),
    web.post("/u/{token}/again", links.ask_back),
    web.post("/u/{token}/reason", links.tell_why),
    web.get("/me/{token}", manage.show),
    web.post("/me/{token}", manage.act),
    web.get("/me/{token}/record", record.show),
    web.post("/me/{token}/record", record.take_along),
    web.get("/me/{token}/record.jsonld", record.linked),
    web.get("/me/{token}/receipt/{slug}.json", record.receipt),
    web.get("/me/{token}/confirmed/{slug}", manage.confirmed),
    web.get("/me/{token}/address", rights.address_page),
    web.post("/me/{token}/address", rights.ask_address),
    web.get("/me/{token}/restrict", rights.restrict_page),
    web.post("/me/{token}/restrict", rights.restrict),
    web.get("/me/{token}/erase", rights.erase_page),
    web.post("/me/{token}/erase", rights.erase),
    web.get("/address/{token}", rights.moving_page),
    web.post("/address/{token}", rights.move),
    web.get("/picture/{sha256:[0-9a-f]{64}}", pictures.show),
    web.get("/archive", archive.everything),
    web.get("/archive/{slug}", archive.series),
    web.get("/archive/{slug}/feed.xml", archive.feed),
    web.get(r"/archive/{slug}/{number:[1-9]\d{0,8}}", archive.issue),
    web.post("/hooks/ses", hooks.amazon),
    web.post("/hooks/mailgun", hooks.mailguns),
    web.post("/hooks/postmark", hooks.postmarks),
    web.post("/hooks/sendgrid", hooks.sendgrids),
    *api.routes(),
    web.get("/log/checkpoint", log.checkpoint),
    web.get("/log/key", log.key),
    web.get(f"/log/tile/entries/{log.NUMBER}{log.WIDTH}", log.entries),
    web.get(f"/log/tile/{log.LEVEL}/{log.NUMBER}{log.WIDTH}", log.tile),
    web.get("/static/{hash}/{name}", page.file),
    web.get("/healthz", health.alive),
    web.get("/readyz", health.ready),
    web.get("/metrics", metrics.show),
]

STAFF_ID = "{id:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}}"

# Below /staff there is nothing but these lines; each says who may (`web.desk`).
EDITORS: tuple[Role, ...] = ("owner", "editor")
BROUGHT = FEED = r"{id:[1-9]\d{0,8}}"
OFFICERS: tuple[Role, ...] = ("owner", "privacy")
PERSON = f"/staff/people/{STAFF_ID}"
JOB = f"/staff/consent/jobs/{STAFF_ID}"
REQUEST = r"/staff/requests/{id:[1-9]\d{0,8}}"
ISSUE = r"{slug}/{number:[1-9]\d{0,8}}"

STAFF = [
    # coming in and going out
    desk.anybody("GET", "/staff/sign-in", entrance.sign_in_page),
    desk.anybody("POST", "/staff/sign-in", entrance.sign_in),
    desk.half("GET", "/staff/code", entrance.code_page),
    desk.half("POST", "/staff/code", entrance.code),
    desk.anybody("GET", "/staff/forgotten", links_of_staff.forgotten_page),
    desk.anybody("POST", "/staff/forgotten", links_of_staff.forgotten),
    desk.anybody("GET", "/staff/come/{token}", links_of_staff.come_page),
    desk.anybody("POST", "/staff/come/{token}", links_of_staff.come),
    desk.get("/staff/again", entrance.again_page, *desk.EVERYONE, bare=True),
    desk.post("/staff/again", entrance.again, *desk.EVERYONE, bare=True),
    desk.post("/staff/sign-out", entrance.sign_out, *desk.EVERYONE, bare=True),
    desk.get("/staff/factor", factor.app_page, *desk.EVERYONE, fresh=True, bare=True),
    desk.post("/staff/factor", factor.set_app, *desk.EVERYONE, fresh=True, bare=True),
    desk.post("/staff/factor/codes", factor.new_codes, *desk.EVERYONE, fresh=True),
    desk.anybody("POST", "/staff/passkey/question", passkeys.question),
    desk.anybody("POST", "/staff/passkey", passkeys.enter),
    desk.post("/staff/passkey/again", passkeys.again, *desk.EVERYONE, bare=True),
    desk.post("/staff/passkeys/wish", passkeys.wish, *desk.EVERYONE, fresh=True, bare=True),
    desk.post("/staff/passkeys", passkeys.add, *desk.EVERYONE, fresh=True, bare=True),
    desk.post("/staff/passkeys/remove", passkeys.remove, *desk.EVERYONE, fresh=True),
    desk.anybody("GET", "/staff/organisation", organisation.go),
    desk.anybody("GET", "/staff/organisation/back", organisation.come),
    # home
    desk.get("/staff", home.show, *desk.EVERYONE),
    desk.post("/staff/language", account.speak, *desk.EVERYONE, bare=True),
    # digests
    desk.get("/staff/digests", issues.listing, *desk.EVERYONE),
    desk.post("/staff/digests", issues.create, *EDITORS),
    desk.get(f"/staff/digests/{ISSUE}", issues.show, *desk.EVERYONE),
    desk.post(f"/staff/digests/{ISSUE}", issues.edit, *EDITORS),
    desk.get(f"/staff/digests/{ISSUE}/preview", issues.preview, *desk.EVERYONE),
    desk.get(f"/staff/digests/{ISSUE}/mail/{{language}}", issues.html, *desk.EVERYONE),
    desk.post(f"/staff/digests/{ISSUE}/look", issues.as_typed, *EDITORS),
    desk.post(f"/staff/digests/{ISSUE}/test", issues.try_out, *EDITORS),
    desk.get(f"/staff/digests/{ISSUE}/approve", issues.approve_page, *EDITORS),
    desk.post(f"/staff/digests/{ISSUE}/approve", issues.approve, *EDITORS),
    desk.get(f"/staff/digests/{ISSUE}/live", issues.live, *desk.EVERYONE),
    desk.post(f"/staff/digests/{ISSUE}/pause", issues.pause, *EDITORS),
    desk.post(f"/staff/digests/{ISSUE}/resume", issues.resume, *EDITORS),
    desk.post(f"/staff/digests/{ISSUE}/recall", issues.recall, *EDITORS),
    desk.get(f"/staff/digests/{ISSUE}/cancel", issues.cancel_page, *EDITORS),
    desk.post(f"/staff/digests/{ISSUE}/cancel", issues.cancel, *EDITORS),
    # newsletters, notices, feeds
    desk.get("/staff/newsletters", content_newsletters.listing, *desk.EVERYONE),
    desk.post("/staff/newsletters", content_newsletters.add, *EDITORS),
    desk.get("/staff/newsletters/{slug}", content_newsletters.show, *desk.EVERYONE),
    desk.post("/staff/newsletters/{slug}", content_newsletters.change, *EDITORS),
    desk.get("/staff/notices", content_notices.listing, *desk.EVERYONE),
    desk.get("/staff/notices/new", content_notices.new_page, "owner"),
    desk.post("/staff/notices/new", content_notices.publish, "owner"),
    desk.get("/staff/notices/{id:[0-9a-f]{32}}", content_notices.show, *desk.EVERYONE),
    desk.get("/staff/notices/renew/{slug}", content_notices.renew_page, "owner"),
    desk.post("/staff/notices/renew/{slug}", content_notices.renew, "owner"),
    desk.get("/staff/notices/renew/{slug}/stop", content_notices.stop_page, "owner"),
    desk.post("/staff/notices/renew/{slug}/stop", content_notices.stop, "owner"),
    desk.get("/staff/feeds", content_feeds.listing, *desk.EVERYONE),
    desk.post("/staff/feeds", content_feeds.add, *EDITORS),
    desk.get(f"/staff/feeds/{FEED}", content_feeds.show, *desk.EVERYONE),
    desk.post(f"/staff/feeds/{FEED}/poll", content_feeds.poll, *EDITORS),
    desk.post(f"/staff/feeds/{FEED}/release", content_feeds.release, *EDITORS),
    desk.post(f"/staff/feeds/{FEED}/dismiss", content_feeds.dismiss, *EDITORS),
    desk.get(f"/staff/feeds/{FEED}/remove", content_feeds.remove_page, *EDITORS),
    desk.post(f"/staff/feeds/{FEED}/remove", content_feeds.remove, *EDITORS),
    # accounts
    desk.get("/staff/account", account.show, *desk.EVERYONE),
    desk.post("/staff/account/password", account.change_password, *desk.EVERYONE),
    desk.post("/staff/account/sessions", account.end_sessions, *desk.EVERYONE),
    desk.get("/staff/accounts", accounts.listing, "owner", fresh=True),
    desk.post("/staff/accounts", accounts.invite, "owner", fresh=True),
    desk.get(f"/staff/accounts/{STAFF_ID}", accounts.show, "owner", fresh=True),
    desk.post(f"/staff/accounts/{STAFF_ID}", accounts.act, "owner", fresh=True),
    # people and consent
    desk.get("/staff/people", officer.find_page, *OFFICERS),
    desk.post("/staff/people", officer.find, *OFFICERS),
    desk.get("/staff/people/address", officer.suppression_page, *OFFICERS),
    desk.post("/staff/people/address", officer.suppression, *OFFICERS),
    desk.get(PERSON, officer.look_page, *OFFICERS),
    desk.post(PERSON, officer.look, *OFFICERS),
    desk.get(f"{PERSON}/correct", officer.asking("correct"), *OFFICERS),
    desk.post(f"{PERSON}/correct", officer.doing("correct"), *OFFICERS),
    desk.get(f"{PERSON}/restrict", officer.asking("restrict"), *OFFICERS),
    desk.post(f"{PERSON}/restrict", officer.doing("restrict"), *OFFICERS),
    desk.get(f"{PERSON}/lift", officer.asking("lift"), *OFFICERS),
    desk.post(f"{PERSON}/lift", officer.doing("lift"), *OFFICERS),
    desk.get(f"{PERSON}/suppress", officer.asking("suppress"), *OFFICERS),
    desk.post(f"{PERSON}/suppress", officer.doing("suppress"), *OFFICERS),
    desk.get(f"{PERSON}/release", officer.asking("release"), *OFFICERS),
    desk.post(f"{PERSON}/release", officer.doing("release"), *OFFICERS),
    desk.get(f"{PERSON}/undo", officer.asking("undo"), *OFFICERS),
    desk.post(f"{PERSON}/undo", officer.doing("undo"), *OFFICERS),
    desk.get(f"{PERSON}/erase", officer.asking("erase"), *OFFICERS, fresh=True),
    desk.post(f"{PERSON}/erase", officer.doing("erase"), *OFFICERS, fresh=True),
    desk.get(f"{PERSON}/export", officer.asking("export"), *OFFICERS, fresh=True),
    desk.post(f"{PERSON}/export", officer.doing("export"), *OFFICERS, fresh=True),
    desk.get(f"{PERSON}/pack", officer.asking("pack"), *OFFICERS, fresh=True),
    desk.post(f"{PERSON}/pack", officer.doing("pack"), *OFFICERS, fresh=True),
    desk.get(f"{PERSON}/request", officer.of_person_page, *OFFICERS),
    desk.post(f"{PERSON}/request", officer.of_person, *OFFICERS),
    desk.get("/staff/requests", officer.listing, *OFFICERS),
    desk.get("/staff/requests/new", officer.new_page, *OFFICERS),
    desk.post("/staff/requests/new", officer.new, *OFFICERS),
    desk.get(REQUEST, officer.show, *OFFICERS),
    desk.post(f"{REQUEST}/open", officer.open_, *OFFICERS),
    desk.post(f"{REQUEST}/extend", officer.extend, *OFFICERS),
    desk.post(f"{REQUEST}/close", officer.close, *OFFICERS),
    desk.get("/staff/consent", officer.consent_page, *OFFICERS, fresh=True),
    desk.post("/staff/consent", officer.extract, *OFFICERS, fresh=True),
    desk.post("/staff/consent/verify", officer.verify, *OFFICERS, fresh=True),
    desk.get(JOB, officer.show_job, *OFFICERS),
    desk.get(f"{JOB}/live", officer.live, *OFFICERS),
    desk.get(f"{JOB}/file", officer.file, *OFFICERS, fresh=True),
    desk.post(f"{JOB}/remove", officer.remove, *OFFICERS),
    # lists brought over
    desk.get("/staff/import", lists.listing, *OFFICERS, fresh=True),
    desk.post("/staff/import", lists.upload, *OFFICERS, fresh=True),
    desk.get(f"/staff/import/{BROUGHT}", lists.show, *OFFICERS, fresh=True),
    desk.post(f"/staff/import/{BROUGHT}", lists.read, *OFFICERS, fresh=True),
    desk.get(f"/staff/import/{BROUGHT}/wrong.csv", lists.faults, *OFFICERS),
    desk.get(f"/staff/import/{BROUGHT}/live", lists.live, *OFFICERS),
    desk.post(f"/staff/import/{BROUGHT}/start", lists.start, *OFFICERS, fresh=True),
    desk.post(f"/staff/import/{BROUGHT}/cancel", lists.cancel, *OFFICERS),
    desk.get(f"/staff/import/{BROUGHT}/stop", lists.stop_page, *OFFICERS),
    desk.post(f"/staff/import/{BROUGHT}/stop", lists.stop, *OFFICERS),
    # who did what
    desk.get("/staff/acts", staff_acts.listing, "owner", "privacy"),
]

# Only in `mailer dev`, whose mails go nowhere else.
INBOX_ROUTES = [
    web.get("/inbox", inbox.listing),
    web.get(r"/inbox/{id:\d{20}}", inbox.mail),
    web.get(r"/inbox/{id:\d{20}}/html", inbox.html),
]


def make(
    settings: Settings, pool: Pool, vault: Vault, mailbox: Mailbox | None = None
) -> web.Application:
    around = [metrics.counted, page.kindly]
    app = web.Application(middlewares=around, client_max_size=guard.BODY_BYTES)
    app[page.SETTINGS], app[page.POOL], app[page.VAULT] = settings, pool, vault
    app[hooks.FETCHER], app[hooks.CERTIFICATES] = hooks.Fetcher(), {}
    app[entrance.HASHING] = asyncio.Semaphore(entrance.HASHING_AT_ONCE)
    app[metrics.GAUGES] = metrics.Gauges()
    app.cleanup_ctx.append(metrics.ticking)
    app.add_routes(ROUTES)
    app[KNOWN], app[INTAKE] = Known(pool), Intake(pool)
    app.cleanup_ctx.append(taking)
    desk.install(app, STAFF)
    if mailbox is not None:
        app[inbox.MAILBOX] = mailbox
        app.add_routes(INBOX_ROUTES)
    app.on_response_prepare.extend([page.harden, public.share, api.say_limits])
    return app


async def taking(app: web.Application) -> AsyncIterator[None]:
    """Forms are taken as long as the site is there."""
    async with app[INTAKE].open():
        yield


async def serve(
    settings: Settings,
    pool: Pool,
    vault: Vault,
    stop: asyncio.Event,
    mailbox: Mailbox | None = None,
) -> None:
    """Answer on MAILER_LISTEN until `stop`, then finish what is being answered.

    Raises Unavailable if that address is taken.
    """
    made = make(settings, pool, vault, mailbox)
    runner = web.AppRunner(made, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        async with listening(runner, settings), said(pool, vault):
            await stop.wait()
    finally:
        await runner.cleanup()


@asynccontextmanager
async def said(pool: Pool, vault: Vault) -> AsyncIterator[None]:
    """Meanwhile the others know which keys this process holds, and it knows which one wraps."""
    process = uuid4()

    async def beat() -> None:
        while True:
            try:
                async with pool.acquire() as conn, conn.transaction():
                    await keys.beat(conn, vault, process, "web")
            except Misconfigured as error:
                LOG.error("%s", error)
            except page.LOST:
                LOG.warning("the database does not answer; asking again soon")
            await asyncio.sleep(keys.BEAT_SECONDS)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
        with suppress(*page.LOST):
            async with pool.acquire() as conn:
                await keys.bury(conn, process)


@asynccontextmanager
async def listening(runner: web.AppRunner, settings: Settings) -> AsyncIterator[None]:
    """Take connections meanwhile. Raises Unavailable."""
    host, port, server = settings.listen.host, settings.listen.port, runner.server
    assert server is not None, "it is set up"
    logs = {"access_log": ACCESS, "access_log_class": guard.AccessLog, "logger": silent()}

    def connection() -> Patient:
        return Patient(server, **logs)

    try:
        socket = await asyncio.get_running_loop().create_server(
            connection, host, port, backlog=BACKLOG
        )
    except OSError as error:
        raise Unavailable(
            "Nothing can listen on {host}:{port} ({reason}): stop what does, or set MAILER_LISTEN.",
            host=host,
            port=port,
            reason=error.strerror,
        ) from None
    try:
        yield
    finally:
        socket.close()


def silent() -> logging.Logger:
    """aiohttp's own log would name a malformed request's sender and quote its path."""
    quiet = logging.getLogger("mailer.web.protocol")
    quiet.disabled = True
    return quiet
