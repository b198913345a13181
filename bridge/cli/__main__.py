"""``python -m bridge.cli``: how the supervisor starts its children."""

from bridge.cli import main

main()
