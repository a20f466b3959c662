"""Golden certificates: what the kernel proves of every model of the zoo, one file for each property.

    python -m proofs certificates           make them again and compare
    python -m proofs certificates --write   write them
    python -m shiftproof_kernel check proofs/certificates/lenet-global.invariance.json

Under the versions of JAX and Flax that `versions.json` names they come out byte for byte. Other versions may trace
another program with other source lines; there the statements must be the same.
"""

import dataclasses
import importlib.metadata
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import shiftproof as sp
from shiftproof import zoo
from shiftproof.files import write_atomic
from shiftproof_kernel import Checked, check_text

HERE = Path(__file__).parent
VERSIONS = HERE / "versions.json"


@dataclasses.dataclass(frozen=True)
class Line:
    """What is said of one file, and whether it is as it should be."""

    text: str
    right: bool


def files() -> list[Path]:
    """The files that are there."""
    return sorted(path for path in HERE.glob("*.json") if path != VERSIONS)


def versions() -> dict[str, str]:
    """The versions that decide which program is traced."""
    return {package: importlib.metadata.version(package) for package in ("jax", "flax")}


def make(name: str) -> dict[str, bytes]:
    """The certificates of one model as `verify` gives them: file name -> content."""
    entry = zoo.ENTRIES[name]
    verdict = sp.verify(entry.build(), entry.shape, name=name)
    return {
        f"{name}.{key.partition('.')[2]}.json": encode(data)
        for key, data in verdict.certificates.items()
    }


def encode(certificate: Mapping[str, Any]) -> bytes:
    """The bytes of a certificate, one way only."""
    return (
        json.dumps(certificate, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
        + b"\n"
    )


def stated(content: bytes) -> Checked:
    """What a certificate proves, whatever program it was made of."""
    return dataclasses.replace(check_text(content.decode()), program_sha256="", weights_sha256="")


def compare(name: str, *, known: Mapping[str, bytes], same_versions: bool) -> Iterator[Line]:
    """One line for every file of a model: those that are known against those that are made now."""
    made = make(name)
    mine = {file for file in known if file.rpartition(".json")[0].rpartition(".")[0] == name}
    for file in sorted(mine | made.keys()):
        if file not in made:
            yield Line(f"{file}: is there, and is not made now", False)
        elif file not in known:
            yield Line(f"{file}: is made now, and is not there", False)
        elif made[file] == known[file]:
            yield Line(f"{file}: the same bytes", True)
        elif stated(made[file]) != stated(known[file]):
            yield Line(f"{file}: another statement: {stated(made[file])}", False)
        else:
            yield Line(f"{file}: the same statement, other bytes", not same_versions)


def renew(*, write: bool = False) -> Iterator[Line]:
    """Make all certificates again, and compare them with the files or write them."""
    known = {path.name: path.read_bytes() for path in files()}
    golden = json.loads(VERSIONS.read_text("utf-8")) if VERSIONS.exists() else {}
    same = golden == versions()
    yield Line(f"versions: {versions()}, files of {golden}", True)
    for name in zoo.ENTRIES:
        if not write:
            yield from compare(name, known=known, same_versions=same)
            continue
        for file, content in make(name).items():
            check_text(content.decode())
            write_atomic(HERE / file, content)
            known.pop(file, None)
            yield Line(f"{file}: written, {len(content)} bytes", True)
    if write:
        for file in known:
            (HERE / file).unlink()
            yield Line(f"{file}: removed", True)
        write_atomic(VERSIONS, json.dumps(versions()).encode() + b"\n")
