"""`python -m shiftproof_kernel check FILE`: one line says what the certificate proves, or why it proves nothing."""

import sys

from shiftproof_kernel import Refusal, check_text
from shiftproof_kernel.certificate import LONGEST


def main(arguments: list[str]) -> int:
    """Exit code 0 where the certificate proves its statement, 1 where it does not, 2 for a mistake in the call."""
    if len(arguments) != 2 or arguments[0] != "check":
        print("usage: python -m shiftproof_kernel check FILE", file=sys.stderr)
        return 2
    try:
        with open(arguments[1], encoding="utf-8") as file:
            text = file.read(LONGEST + 1)  # one more is refused
    except (OSError, ValueError) as error:
        print(f"error: {arguments[1]!r} cannot be read: {error}", file=sys.stderr)
        return 2
    try:
        print(check_text(text), flush=True)
    except (Refusal, RecursionError, MemoryError) as refusal:
        # one line of plain characters, whatever a file says
        reason = str(refusal) or type(refusal).__name__
        print(f"refused: {reason.encode('unicode_escape').decode()}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
