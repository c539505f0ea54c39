"""A relay that makes a mail server far away: what comes back through it comes late.

python -m bench.late PORT TO_PORT MILLISECONDS
"""

import asyncio
import sys


async def main(port: int, to: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", to)

        async def answers() -> None:
            while data := await back.read(65536):
                loop.call_later(seconds, writer.write, data)
            loop.call_later(seconds, writer.close)

        answering = asyncio.create_task(answers())
        while data := await reader.read(65536):
            forth.write(data)
            await forth.drain()
        forth.close()
        await answering

    async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) / 1000))
