"""How well bounces are read: the corpus of real ones, beside what its collectors say of them.

    .venv/bin/python -m bench.bounces              a confusion matrix, and the mistakes by name
    .venv/bin/python -m bench.bounces FOLDER       of another folder with a verdicts.json

Classes asked for: hard; complaint; other. A file about several addresses that fare differently is
left out. Exit status 1 if a complaint was missed, if more than 2 % of what is not hard was taken
for hard, or if less than 90 % of the hard ones were found.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mailer.bounces.reading import NO_COMPLAINTS, read

CORPUS = Path(os.environ.get("MAILER_CORPUS", "../shared/corpus")) / "bounces"
CLASSES = ("hard", "complaint", "other")


def wanted(verdicts: list[dict[str, object]]) -> str | None:
    """What the collectors say; None if of several addresses only some are dead."""
    if any(v["feedback"] and v["feedback"] not in NO_COMPLAINTS for v in verdicts):
        return "complaint"
    hard = {bool(v["hard"]) for v in verdicts}
    if len(hard) > 1:
        return None
    return "hard" if hard == {True} else "other"


def told(kind: str) -> str:
    return kind if kind in CLASSES else "other"


def judged(folder: Path) -> Iterator[tuple[str, str, str, str]]:
    """Name, class wanted, class told, and the reason told."""
    verdicts = json.loads((folder / "verdicts.json").read_text("utf-8"))
    for name, said in sorted(verdicts.items()):
        want = wanted(said)
        if want is not None:
            found = read((folder / name).read_bytes())
            yield name, want, told(found.kind), found.reason


def score(folder: Path) -> bool:
    """Print what came of it; whether it is good enough."""
    started = time.perf_counter()
    results = list(judged(folder))
    seconds = time.perf_counter() - started
    matrix = Counter((want, got) for _, want, got, _ in results)
    print(f"{len(results)} files, {seconds / len(results) * 1000:.1f} ms each\n")
    print("wanted \\ told " + "".join(f"{name:>11}" for name in CLASSES))
    for want in CLASSES:
        print(f"{want:>13} " + "".join(f"{matrix[want, got]:>11}" for got in CLASSES))
    for name, want, got, reason in results:
        if want != got:
            print(f"  {name}: {want}, told {got} ({reason})")
    hard = sum(matrix["hard", got] for got in CLASSES)
    rest = len(results) - hard
    found, wrong = matrix["hard", "hard"], matrix["other", "hard"] + matrix["complaint", "hard"]
    missed = sum(matrix["complaint", got] for got in CLASSES if got != "complaint")
    print(
        f"\nhard found {found / max(hard, 1):.1%} (goal 90 %), others taken for hard "
        f"{wrong / max(rest, 1):.1%} (goal at most 2 %), complaints missed {missed}"
    )
    return not missed and wrong <= 0.02 * rest and found >= 0.9 * hard


if __name__ == "__main__":
    sys.exit(0 if score(Path(sys.argv[1]) if sys.argv[1:] else CORPUS) else 1)
