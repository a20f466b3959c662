"""Certificates as Python objects: checked by the kernel before they exist, and shown by notebooks and rich."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shiftproof.display import Displayed
from shiftproof.errors import InputError
from shiftproof.plain import hanging
from shiftproof_kernel import Checked, Refusal, check_text
from shiftproof_kernel.certificate import LONGEST


@dataclasses.dataclass(frozen=True)
class Certificate(Displayed):
    """A certificate that the kernel accepted.

    Attributes:
        checked: what it proves.
        size: of its JSON, bytes.
        sha256: of its content.
    """

    checked: Checked
    size: int
    sha256: str

    def __str__(self) -> str:
        return hanging(str(self.checked))


def check(certificate: str | Path | Mapping[str, Any]) -> Certificate:
    """Replay a certificate in the kernel, without JAX.

    Args:
        certificate: a file, or one of `Verdict.certificates`.

    Raises:
        InputError: the file cannot be read, or the certificate does not prove its statement.

    >>> check({"schema": "none"})
    Traceback (most recent call last):
    ...
    shiftproof.errors.InputError: the certificate proves nothing: ...
    """
    try:
        given = isinstance(certificate, Mapping)
        text = json.dumps(certificate) if given else _read(Path(certificate))
        checked = check_text(text)
    except Refusal as refusal:
        raise InputError(f"the certificate proves nothing: {refusal}") from refusal
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the certificate {certificate} cannot be read: {error}.") from error
    return Certificate(checked, len(text), json.loads(text)["sha256"])


def _read(path: Path) -> str:
    """The text of a file, or of one that is too long its beginning, which the kernel refuses."""
    with path.open(encoding="utf-8") as file:
        return file.read(LONGEST + 1)
