"""What the web process is compared with: a bare aiohttp handler doing one durable insert.

    python -m bench.bare DATABASE_URL PORT

It reads the body, and inserts a row as large as a sealed request; it checks nothing.
"""

import asyncio
import os
import sys
from uuid import uuid4

import asyncpg
from aiohttp import web

KEY_BYTES = 60
PAYLOAD_BYTES = 4_096


async def main(url: str, port: int) -> None:
    async with asyncpg.create_pool(url) as pool:
        await pool.execute(
            "create table if not exists bare (id uuid primary key, dek bytea, payload bytea)"
        )

        async def handler(request: web.Request) -> web.Response:
            await request.read()
            await pool.execute(
                "insert into bare values ($1, $2, $3)",
                uuid4(),
                os.urandom(KEY_BYTES),
                os.urandom(PAYLOAD_BYTES),
            )
            return web.json_response({"status": "check_inbox"}, status=202)

        application = web.Application()
        application.router.add_post("/subscribe", handler)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
