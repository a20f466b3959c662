"""Golden certificates: what is there is checked without JAX, and is what is made now."""

import json
import subprocess
import sys

import jax
import pytest

import shiftproof_kernel
from proofs import certificates
from shiftproof import zoo
from shiftproof_kernel import Refusal, check_text

FILES = certificates.files()
AGAIN = (
    "conv3x3-stride2",
    "maxpool3x3-stride2",
    "conv-transpose3x3-stride2",
    "conv3d",
    "maxpool2x2-stride1-same",
    "polyphase",
)
"""Models made again here; the command makes all of them."""

WITHOUT_JAX = """
import sys
for name in ("jax", "jaxlib", "flax", "numpy", "shiftproof"):
    sys.modules[name] = None
from shiftproof_kernel import check_text
for path in sys.argv[1:]:
    print(check_text(open(path).read()))
"""


def test_the_kernel_checks_all_without_jax() -> None:
    paths = [str(path) for path in FILES]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_JAX, *paths], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(FILES) > 20
    assert all(line.startswith("proved: ") for line in lines)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_about_the_property_in_its_name_and_says_more_than_shift_0(path) -> None:
    name, property, _ = path.name.rsplit(".", 2)
    proved = check_text(path.read_text())
    assert name in zoo.ENTRIES
    assert proved.property == property
    assert proved.grid == zoo.ENTRIES[name].shape[:-1]
    assert 1 < proved.proved <= proved.shifts
    assert path.read_bytes() == certificates.encode(json.loads(path.read_text()))


@pytest.mark.slow
def test_known_lattices() -> None:
    counts = {path.name: check_text(path.read_text()).proved for path in FILES}
    assert counts["conv3x3.equivariance.json"] == 64
    assert counts["conv3x3-stride2.equivariance.json"] == 16
    assert counts["lenet-global.invariance.json"] == 49
    assert counts["resnet18.invariance.json"] == 49
    assert counts["polyphase.invariance.json"] == 144
    assert "conv3x3-same.equivariance.json" not in counts
    assert "vit-positions.invariance.json" not in counts


@pytest.mark.slow
@pytest.mark.parametrize("name", AGAIN)
def test_files_are_made_again(name) -> None:
    jax.clear_caches()  # JAX remembers library functions with the line that called them first, in whichever test
    known = {path.name: path.read_bytes() for path in FILES}
    same = json.loads(certificates.VERSIONS.read_text()) == certificates.versions()
    lines = list(certificates.compare(name, known=known, same_versions=same))
    assert [line.text for line in lines if not line.right] == []
    assert bool(lines) == any(file.startswith(name + ".") for file in known)


@pytest.mark.slow
def test_differences_are_found() -> None:
    name, file = "conv3x3-stride2", "conv3x3-stride2.equivariance.json"
    right = certificates.make(name)[file]
    other = certificates.make("conv3x3")["conv3x3.equivariance.json"]
    note = json.loads(right)
    note["made_with"] = "another version"
    note["sha256"] = shiftproof_kernel.program.digest(
        {k: v for k, v in note.items() if k != "sha256"}
    )

    def said(known: dict[str, bytes], *, same: bool = True) -> list[tuple[str, bool]]:
        lines = certificates.compare(name, known=known, same_versions=same)
        return [(line.text.partition(": ")[2].partition(":")[0], line.right) for line in lines]

    assert said({file: right}) == [("the same bytes", True)]
    assert said({}) == [("is made now, and is not there", False)]
    assert said({file: other}) == [("another statement", False)]
    assert said({file: certificates.encode(note)}) == [("the same statement, other bytes", False)]
    assert said({file: certificates.encode(note)}, same=False) == [
        ("the same statement, other bytes", True)
    ]
    invariance = "conv3x3-stride2.invariance.json"
    lost = ("is there, and is not made now", False)
    assert said({file: right, invariance: right}) == [("the same bytes", True), lost]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"proved":', '"proved":1'),
        ('"generators":[{', '"generators":[{"a":1,'),
        ("shiftproof 0.", "shiftproof 1."),
        ('"output_shift":[1,0]', '"output_shift":[0,1]'),
    ],
)
def test_a_changed_file_is_refused(old, new) -> None:
    text = FILES[0].read_text()
    if old in text:
        with pytest.raises(Refusal):
            check_text(text.replace(old, new, 1))
    else:
        pytest.fail(f"{old} is not there to be changed")
