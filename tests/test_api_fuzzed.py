"""The API as a stranger's tool understands it from its description alone: schemathesis makes up
thousands of requests, right and wrong. Never a 500, never an answer that was not described.
"""

import asyncio
import sys
from pathlib import Path

import pytest

from mailer import access, articles, digests
from mailer.access import SCOPES
from mailer.articles import Draft
from mailer.db import Connection, Pool
from mailer.vault import Vault
from mailer.web.api import answering
from tests import site, world
from tests.world import ANNA

EXAMPLES = 5
"""For each operation; fixed, so that a run is the same run again."""

# Whether what is right by its shape is also right in fact only the database knows: a newsletter may
# not be there, a digest be sent already.
LEFT_OUT = "positive_data_acceptance"

# Without If-Match: 428 (RFC 6585, section 3). With one that is no ETag of ours: 412.
CONFIGURED = """
[checks.missing_required_header]
expected-statuses = [401, 403, 404, 422, 428]

[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 428, 429, "5xx"]
"""
SECONDS = 60
"""More than that it never takes, on a machine however slow: it then has tried less."""


async def run(server: str, words: str, folder: Path, *more: str) -> tuple[int, str]:
    configured = folder / "schemathesis.toml"
    configured.write_text(CONFIGURED)
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        "--config-file", str(configured), "run", "--max-time", str(SECONDS),
        f"{server}/api/v1/openapi.json", "--url", f"{server}/api/v1",
        "--header", f"Authorization: Bearer {words}",
        "--exclude-checks", LEFT_OUT, "--phases", "examples,coverage,fuzzing",
        "--max-examples", str(EXAMPLES), "--generation-deterministic", "--no-shrink",
        "--request-timeout", "30", "--warnings", "off",
        "--no-color", "--continue-on-failure", *more,
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    told, _ = await process.communicate()
    return process.returncode or 0, told.decode()


async def test_no_request_however_odd_gets_an_answer_that_was_not_described(
    pool: Pool,
    conn: Connection,
    vault: Vault,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answering, "REQUESTS", 10**9)  # it asks faster than anybody may
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    for title in ("first", "second"):
        draft = Draft(title, title, "en", f"https://example.org/{title}")
        await articles.add(conn, weekly.newsletter.id, draft)
    await digests.create(conn, weekly.newsletter, "weekly", by="staff:anna")
    _, words = await access.issue(conn, "fuzzer", SCOPES, 1, by="staff:anna")
    async with site.opened(pool, vault) as client:
        status, told = await run(str(client.make_url("")).rstrip("/"), words, tmp_path)
    assert status == 0, told
