"""Verify an evidence pack, with nothing but Python and the package `cryptography`.

    python verify.py [PACK] [--key KEY] [--checkpoint FILE]

PACK is the .zip file, or the folder it was unpacked into; if it is not given, the folder that this
file is in. KEY is the verifier key of the log and FILE one of its checkpoints, if you have them
from elsewhere: without a KEY of your own you learn that the pack is whole, not who made it.

What is checked: every byte is as it was packed and signed; every event is the one its commitment
was made over; every commitment is in the log that the checkpoint signs; the events of the person
follow one another without a gap; every notice is, to the byte, the one that was agreed to.
Exit status 0: all of it holds; 1: something does not, and is named.
"""

import argparse
import base64
import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

CONTEXT = b"mailer/consent-event/v1\n"
TITLE = "mailer evidence pack v1"
Files = dict[str, bytes]
Tree = tuple[int, bytes]


class Wrong(Exception):
    """Something does not hold; the message says what."""


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


# the pack


def read(path: Path) -> Files:
    """Every file of a pack by name. A .zip must be, to the byte, as packs are put together."""
    if path.is_dir():
        found = (each for each in path.rglob("*") if each.is_file())
        named = {each.relative_to(path).as_posix(): each.read_bytes() for each in found}
        return {name: data for name, data in named.items() if "__pycache__" not in name}
    raw = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
    except Exception as error:  # a damaged archive fails in many ways
        raise Wrong(f"{path} is no archive that can be read: {error}") from None
    if packed(files) != raw:
        raise Wrong(f"{path} was changed: it is not put together as packs are")
    return files


def packed(files: Files) -> bytes:
    """The one .zip of these files: by name, not compressed, without dates."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, files[name])
    return whole.getvalue()


def manifest(origin: str, files: Files) -> str:
    """What is signed of a pack: the hash of every file."""
    lines = (f"{sha256(files[name]).hex()}  {name}" for name in sorted(files))
    return "\n".join([TITLE, origin, *lines]) + "\n"


def take(files: Files, name: str) -> bytes:
    if name not in files:
        raise Wrong(f"{name} is missing")
    return files[name]


# signed notes (C2SP signed-note) and the tree (RFC 6962, section 2.1)


def text_of(note: str, key: str) -> str:
    """The text that the holder of the key signed."""
    name, id_, data = key.split("+", 2)
    public = base64.b64decode(data)[1:]
    if sha256(f"{name}\n\x01".encode(), public)[:4].hex() != id_:
        raise Wrong("the verifier key is damaged")
    text, _, signatures = note.rpartition("\n\n")
    for line in signatures.split("\n"):
        signed = base64.b64decode(line.rpartition(" ")[2])
        if signed[:4].hex() == id_ and line == f"— {name} {base64.b64encode(signed).decode()}":
            Ed25519PublicKey.from_public_bytes(public).verify(signed[4:], f"{text}\n".encode())
            return f"{text}\n"
    raise Wrong("it is not signed by the key of the log")


def tree_of(checkpoint: str, key: str) -> Tree:
    """Size and root that a checkpoint (C2SP tlog-checkpoint) signs."""
    origin, size, root = text_of(checkpoint, key).split("\n")[:3]
    if origin != key.split("+", maxsplit=1)[0]:
        raise Wrong("it is the checkpoint of another log")
    return int(size), base64.b64decode(root)


def root_from(index: int, size: int, leaf: bytes, path: list[bytes]) -> bytes:
    """The root that an audit path leads to, from the leaf's sibling to the root's child."""
    if size == 1 and not path:
        return leaf
    if size < 2 or not path:
        raise Wrong("its proof has the wrong length")
    half = 1 << (size - 1).bit_length() - 1
    if index < half:
        return sha256(b"\x01", root_from(index, half, leaf, path[:-1]), path[-1])
    return sha256(b"\x01", path[-1], root_from(index - half, size - half, leaf, path[:-1]))


# what is verified


def check_files(files: Files, key: str) -> list[str]:
    """Whether every file is there, none was added and none changed since the pack was signed."""
    signed = take(files, "MANIFEST").decode()
    text = text_of(signed, key)
    others = {name: data for name, data in files.items() if name != "MANIFEST"}
    wanted = {line[66:]: line[:64] for line in text.split("\n")[2:-1]}
    wrong = [f"{name} is missing" for name in sorted(wanted.keys() - others.keys())]
    wrong += [f"{name} was added" for name in sorted(others.keys() - wanted.keys())]
    for name in sorted(wanted.keys() & others.keys()):
        if wanted[name] != sha256(others[name]).hex():
            wrong.append(f"{name} was changed")
    whole = text == manifest(text.split("\n")[1], others)
    alone = signed.count("\n") == text.count("\n") + 2  # one signature, and nothing else
    return wrong or ([] if whole and alone else ["MANIFEST was changed"])


def check_entry(files: Files, name: str, tree: Tree) -> tuple[int, bytes]:
    """One event is in the log: its place there, and its commitment (empty for a public one)."""
    body, salt = take(files, f"{name}.json"), files.get(f"{name}.salt")
    commitment = sha256(CONTEXT, bytes.fromhex(salt.decode()), body) if salt else b""
    entry = b"\x01" + commitment if salt else b"\x02" + body
    head, _, checkpoint = take(files, f"{name}.tlog-proof").decode().partition("\n\n")
    version, index, *path = head.split("\n")
    if version != "c2sp.org/tlog-proof@v1" or checkpoint.encode() != take(files, "checkpoint"):
        raise Wrong("its proof is for another checkpoint")
    leaf, (size, root) = int(index.split(" ")[1]), tree
    hashes = [base64.b64decode(line) for line in path]
    if root_from(leaf, size, sha256(b"\x00", entry), hashes) != root:
        raise Wrong("it is not in the log: it was changed, or never was there")
    return leaf, commitment


def check_notice(files: Files, named: dict[str, str], tree: Tree) -> None:
    """The words that an event names are there, to the byte, and the log has their publication."""
    name = f"notices/{named['id']}"
    if sha256(take(files, f"{name}.json")).hex() != named["sha256"]:
        raise Wrong(f"the words of notice {named['id']} were changed")
    check_entry(files, f"{name}.published", tree)
    published = json.loads(files[f"{name}.published.json"])
    if published["notice"] != named or published["type"] != "notice.published":
        raise Wrong(f"notice {named['id']} was never published")


def check_template(files: Files, sent: set[str]) -> list[str]:
    """The templates of the confirmation mail, if they are there, are those it was made from."""
    names = [name for name in files if name.startswith("template/")]
    ordered = sorted(names, key=lambda name: ("/confirm/" not in name, name))
    whole = sha256(*(f"{name[9:]}\n".encode() + files[name] for name in ordered)).hex()
    return [] if not names or whole in sent else ["template/: no mail was made from these"]


def check_events(files: Files, origin: str, tree: Tree) -> tuple[int, list[str]]:
    """How many events the person has, and which of them do not hold."""
    seq, prev, last, subject = 0, None, -1, None
    wrong: list[str] = []
    sent: set[str] = set()
    for name in sorted(n[:-5] for n in files if n.startswith("events/") and n.endswith(".json")):
        event = json.loads(files[f"{name}.json"])
        seq += 1
        try:
            leaf, commitment = check_entry(files, name, tree)
            found = tuple(event[each] for each in ("origin", "subject", "seq", "prev"))
            if found != (origin, subject or event["subject"], seq, prev) or leaf <= last:
                raise Wrong("it does not follow the event before it: one is missing or was moved")
            if event["notice"]:
                check_notice(files, event["notice"], tree)
            prev, last, subject = commitment.hex(), leaf, event["subject"]
            sent.add(event["evidence"].get("template_sha256", ""))
        except (Wrong, ValueError) as error:
            wrong.append(f"event {event['id']} ({name}): {error}")
    return seq, wrong + ([] if wrong else check_template(files, sent))


def examine(files: Files, key: str | None, kept: list[str]) -> tuple[int, list[str]]:
    """How many events the pack has, and what does not hold.

    `key` and `kept`: the verifier key and checkpoints of the log as known from elsewhere. A
    checkpoint of another size says nothing without the log itself.
    """
    wrong: list[str] = []
    count = 0
    try:
        own = take(files, "key").decode().rstrip("\n")
        if key is not None and key != own:
            wrong.append(f"the pack is signed with another key than yours: {own}")
        wrong += check_files(files, own)
        tree = tree_of(take(files, "checkpoint").decode(), own)
        for other in (tree_of(note, own) for note in kept):
            if other[0] == tree[0] and other != tree:
                wrong.append("the log is another one than the checkpoint that you kept signs")
        count, found = check_events(files, own.split("+")[0], tree)
        wrong += found
    except InvalidSignature:
        wrong.append("a signature is false: the manifest or the checkpoint was changed")
    except Exception as error:  # what is no pack at all fails in many ways
        wrong.append(str(error) or type(error).__name__)
    return count, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description="Verify an evidence pack.")
    parser.add_argument("pack", type=Path, nargs="?", default=Path(__file__).parent)
    parser.add_argument("--key", help="the log's verifier key, as you know it from elsewhere")
    parser.add_argument("--checkpoint", type=Path, action="append", default=[],
                        help="a checkpoint that you kept")  # fmt: skip
    given = parser.parse_args()
    try:
        kept = [path.read_text("utf-8") for path in given.checkpoint]
        files = read(given.pack)
    except (Wrong, OSError) as error:
        sys.stdout.write(f"WRONG: {error}\n")
        return 1
    count, wrong = examine(files, given.key, kept)
    for what in wrong:
        sys.stdout.write(f"WRONG: {what}\n")
    if not wrong:
        key = files["key"].decode().strip()
        sys.stdout.write(f"All of it holds: {count} events, in the log whose key is\n{key}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
