"""Ends what `make up` started, and waits until it has ended."""

from __future__ import annotations

import sys

from infra.local import single
from infra.local.state import options


def main() -> int:
    """Say what was done; 1 when the system did not end."""
    try:
        print(single.end(options(sys.argv[1:]).folder))
    except TimeoutError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
