"""`python -m shiftproof` is the command line."""

from shiftproof.cli import main

main()
