"""`python -m shiftproof_kernel check FILE`: one line says what the certificate proves, or why it proves nothing."""

import sys

from shiftproof_kernel import Refusal, check_text


def main(arguments: list[str]) -> int:
    """Exit code 0 where the certificate proves its statement, 1 where it does not, 2 for a mistake in the call."""
    if len(arguments) != 2 or arguments[0] != "check":
        print("usage: python -m shiftproof_kernel check FILE", file=sys.stderr)
        return 2
    try:
        with open(arguments[1], encoding="utf-8") as file:
            print(check_text(file.read()))
    except (OSError, UnicodeDecodeError) as error:
        print(f"error: {arguments[1]} cannot be read: {error}", file=sys.stderr)
        return 2
    except Refusal as refusal:
        print(f"refused: {refusal}")
        return 1
    except Exception as error:  # a malformed file must never end in anything but a refusal
        print(f"refused: the certificate is malformed: {type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
