"""Mints a caller's token for the local system, as a CRM does with its key.

python -m infra.local.caller_token --sub crm --subaccount s1
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

import jwt

from infra.local import local_settings
from infra.local.state import ROOT
from shared.errors import Misconfigured

ISSUER = "crm"
AUDIENCE = "gmail-sync"
SECONDS = 3300


def mint(
    key: str, *, sub: str, subaccounts: Sequence[str], seconds: int = SECONDS
) -> str:
    """A token that says who calls and which subaccounts it may touch."""
    return jwt.encode(
        {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": sub,
            "subaccounts": list(subaccounts),
            "exp": int(time.time()) + seconds,
        },
        key,
        algorithm="HS256",
    )


def main() -> int:
    """Print a token made with the key that the local system uses."""
    parser = argparse.ArgumentParser(prog="caller_token")
    parser.add_argument("--sub", default="crm", help="a user's id, or crm")
    parser.add_argument("--subaccount", default="s1", help="ids, separated by commas")
    given = parser.parse_args()
    try:
        key = local_settings.signing_key(os.environ, ROOT)
    except Misconfigured as error:
        print(error.detail, file=sys.stderr)
        return 2
    print(mint(key, sub=given.sub, subaccounts=given.subaccount.split(",")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
