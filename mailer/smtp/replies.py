"""A server's replies, read out of bytes as they come (RFC 5321, 4.2), with bounds on both."""

MOST_LINE = 2048
"""Bytes; RFC 5321, 4.5.3.1.5 allows 512."""

MOST_BYTES = 16_384
"""Of one reply with all its lines."""


class Nonsense(Exception):
    """What came is no reply, or is too long for one."""


class Replies:
    """Feed it what came, take replies off it: a code and its text, lines divided by a space."""

    def __init__(self) -> None:
        self.buffer = b""
        self.at = 0
        self.code = 0
        self.lines: list[bytes] = []

    def feed(self, data: bytes) -> None:
        self.buffer = self.buffer[self.at :] + data
        self.at = 0

    @property
    def more(self) -> bool:
        """Whether something came that was not taken yet."""
        return self.at < len(self.buffer) or bool(self.lines)

    def take(self) -> tuple[int, str] | None:
        """The next reply that is complete. Raises Nonsense."""
        while True:
            end = self.buffer.find(b"\n", self.at)
            if (end if end >= 0 else len(self.buffer)) - self.at > MOST_LINE:
                raise Nonsense("a line of a reply has no end")
            if end < 0:
                return None
            line = self.buffer[self.at : end].rstrip(b"\r")
            self.at = end + 1
            if not self.lines and line[3:4] == b" " and line[:3].isdigit():  # as most are
                return int(line[:3]), line[4:].strip().decode("utf-8", "replace")
            if self.last(line):
                lines, self.lines = self.lines, []
                return self.code, b" ".join(lines).decode("utf-8", "replace")

    def last(self, line: bytes) -> bool:
        """Keep one line; whether the reply ends with it."""
        digits, sign = line[:3], line[3:4]
        if not (digits.isdigit() and len(digits) == 3 and sign in (b" ", b"-", b"")):
            raise Nonsense("that is no reply")
        code = int(digits)
        if self.lines and code != self.code:
            raise Nonsense("the lines of a reply have different codes")
        self.code = code
        self.lines.append(line[4:].strip())
        if sum(map(len, self.lines)) > MOST_BYTES or len(self.lines) > MOST_BYTES // 64:
            raise Nonsense("a reply has no end")
        return sign != b"-"
