"""python -m bridge: the same as the command print-bridge."""

from bridge.cli import main

main()
