"""The tree: what the RFC says, from another implementation of it and from others' vectors."""

import base64
import json
import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailer.log import tree
from tests import rfc6962

CORPUS = Path(os.environ.get("MAILER_CORPUS", Path(__file__).parents[2] / "shared" / "corpus"))
MERKLE = CORPUS / "consent" / "merkle"

# Entries and roots as Certificate Transparency's own tests have them.
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

sizes = st.one_of(st.integers(1, 40), st.integers(200, 900))


def entries(count: int) -> list[bytes]:
    return [number.to_bytes(4, "big") for number in range(count)]


def tiled(count: int, steps: list[int]) -> dict[tuple[int, int], bytes]:
    """A tree of `count` entries grown in steps of these sizes, over and over."""
    tiles: dict[tuple[int, int], bytes] = {}
    leaves = [tree.leaf_hash(entry) for entry in entries(count)]
    size, turn = 0, 0
    while size < count:
        new = leaves[size : size + steps[turn % len(steps)]]
        tiles |= tree.grown(tiles, size, new)
        size, turn = size + len(new), turn + 1
    return tiles


@pytest.mark.parametrize("count", range(1, 9))
def test_roots_are_those_that_certificate_transparency_publishes(count: int) -> None:
    leaves = [tree.leaf_hash(entry) for entry in INPUTS[:count]]
    assert tree.root(leaves).hex() == rfc6962.mth(INPUTS[:count]).hex() == ROOTS[count - 1]


def test_an_empty_tree_has_the_hash_of_nothing_as_its_root() -> None:
    assert tree.root([]) == rfc6962.mth([])


@settings(deadline=None)
@given(sizes, st.lists(st.integers(1, 700), min_size=1, max_size=4))
@example(65_537, [2000])
@example(512, [256])
@example(1, [1])
def test_a_tree_grown_in_any_steps_is_the_tree_of_the_rfc(count: int, steps: list[int]) -> None:
    tiles = tiled(count, [step + count // 100 for step in steps])
    d = entries(count)
    assert tree.root_of_span(tiles, (0, count)) == rfc6962.mth(d)
    widths = {place: len(hashes) // 32 for place, hashes in tiles.items()}
    assert {place: width for place, width in widths.items() if width < 256} == tree.edge(count)
    for (level, index), width in widths.items():
        assert width == min(256, (count >> 8 * level) - 256 * index)
    assert tree.needed([(0, count)]) == set(tree.edge(count))


@settings(deadline=None)
@given(st.data(), sizes)
def test_proofs_are_those_of_the_rfc_and_lead_where_they_should(
    data: st.DataObject, count: int
) -> None:
    index = data.draw(st.integers(0, count - 1))
    old = data.draw(st.integers(1, count))
    tiles, d = tiled(count, [count]), entries(count)
    root = rfc6962.mth(d)

    spans = tree.inclusion(index, count)
    some = {place: tiles[place] for place in tree.needed(spans)}
    path = tree.proof(some, spans)
    assert path == rfc6962.path(index, d)
    leaf = tree.leaf_hash(d[index])
    assert tree.includes(index, count, leaf, path, root)
    assert rfc6962.root_from(index, count, leaf, path) == root

    spans = tree.consistency(old, count)
    some = {place: tiles[place] for place in tree.needed(spans)}
    proof = tree.proof(some, spans)
    assert proof == rfc6962.proof(old, d)
    assert tree.continues(old, count, rfc6962.mth(d[:old]), root, proof)


@settings(deadline=None)
@given(st.data(), st.integers(2, 300))
def test_a_proof_of_anything_else_is_refused(data: st.DataObject, count: int) -> None:
    tiles, d = tiled(count, [count]), entries(count)
    root = rfc6962.mth(d)
    index = data.draw(st.integers(0, count - 1))
    path = tree.proof(tiles, tree.inclusion(index, count))
    leaf = tree.leaf_hash(d[index])
    at = data.draw(st.integers(0, len(path) - 1))
    turned = bytes([path[at][0] ^ 1]) + path[at][1:]
    for wrong in (
        (index ^ 1, count, leaf, path, root),
        (index, count, root, path, root),
        (index, count, leaf, path[:-1], root),
        (index, count, leaf, [*path, root], root),
        (index, count, leaf, [*path[:at], turned, *path[at + 1 :]], root),
        (index, count, leaf, path, leaf),
    ):
        assert not tree.includes(*wrong)

    old = data.draw(st.integers(1, count - 1))
    before = rfc6962.mth(d[:old])
    proof = tree.proof(tiles, tree.consistency(old, count))
    for wrong_ in (
        (0, count, before, root, proof),
        (old, count, root, root, proof),
        (old, count, before, before, proof),
        (old, count, before, root, proof[:-1]),
        (old, count, before, root, [*proof, root]),
        (old, count, before[:31], root, proof),
    ):
        assert not tree.continues(*wrong_)


# what others publish


def vectors(name: str) -> list[object]:
    path = MERKLE / f"{name}.json"
    if not path.is_file():
        return [pytest.param(None, marks=pytest.mark.skip("no corpus: set MAILER_CORPUS"))]
    return [pytest.param(vector, id=name) for name, vector in json.loads(path.read_text()).items()]


def hashes(texts: list[str] | None) -> list[bytes]:
    return [base64.b64decode(text) for text in texts or ()]


@pytest.mark.parametrize("vector", vectors("inclusion"))
def test_inclusion_is_judged_as_others_judge_it(vector: dict[str, object]) -> None:
    index, size = vector["leafIdx"], vector["treeSize"]
    leaf, root = hashes([vector["leafHash"], vector["root"]])  # type: ignore[list-item]
    found = tree.includes(index, size, leaf, hashes(vector["proof"]), root)  # type: ignore[arg-type]
    assert found is not vector["wantErr"]


@pytest.mark.parametrize("vector", vectors("consistency"))
def test_consistency_is_judged_as_others_judge_it(vector: dict[str, object]) -> None:
    old, new = hashes([vector["root1"], vector["root2"]])  # type: ignore[list-item]
    path = hashes(vector["proof"])  # type: ignore[arg-type]
    found = tree.continues(vector["size1"], vector["size2"], old, new, path)  # type: ignore[arg-type]
    assert found is not vector["wantErr"]
