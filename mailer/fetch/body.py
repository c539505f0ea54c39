"""The bytes of an answer, decoded by ourselves so that no bomb unfolds beyond the limit."""

import zlib

import aiohttp

GZIP = b"\x1f\x8b"


class Trouble(Exception):
    """The feed could not be had; the message is a sentence."""


async def body(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """The decoded bytes. Raises Trouble as soon as there are too many."""
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    unpacked, unzip = bytearray(), None
    async for chunk in answer.content.iter_any():
        if not unpacked and unzip is None:
            unzip = Unzip.of(encoding, chunk)
        unpacked += unzip.take(chunk, most - len(unpacked) + 1) if unzip else chunk
        if len(unpacked) > most:
            raise Trouble(f"The feed is larger than {most // 1_000_000} MB.")
    if unzip and not unzip.stream.eof:
        raise Trouble("The feed broke off in the middle.")
    return bytes(unpacked)


class Unzip:
    """gzip (also several in a row) or deflate, never more than asked for at once."""

    def __init__(self, wbits: int) -> None:
        self.wbits = wbits
        self.stream = zlib.decompressobj(wbits)

    @classmethod
    def of(cls, encoding: str, start: bytes) -> "Unzip | None":
        """By the bytes themselves where they tell: some servers don't say, some say it wrongly."""
        if start.startswith(GZIP):
            return cls(16 + zlib.MAX_WBITS)
        if encoding == "deflate":
            return cls(zlib.MAX_WBITS if start[0] & 15 == 8 else -zlib.MAX_WBITS)
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise Trouble("The feed comes compressed in a way that was not asked for.")
        return None

    def take(self, chunk: bytes, most: int) -> bytes:
        out = b""
        try:
            while chunk and len(out) < most:
                if self.stream.eof:
                    if not chunk.startswith(GZIP):
                        break  # padding
                    self.stream = zlib.decompressobj(self.wbits)
                out += self.stream.decompress(chunk, most - len(out))
                chunk = self.stream.unused_data
        except zlib.error:
            raise Trouble("The feed's compression is broken.") from None
        return out
