"""Is the sender who he says he is? As the receiving Google server saw it (B5, M2).

Only the topmost Authentication-Results counts, and only if it is Google's: everything
below it came with the mail and can be forged. ARC and X- headers never count.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.core.mail import Address, Authenticity
from shared.core.parsing.addr_spec import domain_of, is_within, normalise_domain
from shared.core.parsing.authentication_results import Result, read_results
from shared.core.parsing.headers import Header, values_of
from shared.core.parsing.public_suffixes import is_public_suffix

_AUTHSERV_ID = "mx.google.com"


def authenticity(headers: Sequence[Header], sender: Address | None) -> Authenticity:
    """Judge a message by the topmost Authentication-Results.

    `pass`: DMARC pass for exactly the sender's domain; or, where DMARC says nothing,
    a DKIM pass of that domain or a parent of it. SPF alone never suffices.
    `fail`: DMARC fail; or, where DMARC says nothing, DKIM or SPF fail and neither
    passes. Anything else, or anything ambiguous, is `unknown`.
    """
    if sender is None:
        return "unknown"
    values = values_of(headers, "Authentication-Results")
    checked = read_results(values[0]) if values else None
    if checked is None or checked.authserv_id != _AUTHSERV_ID:
        return "unknown"
    host = domain_of(sender.address)
    dmarc = [result for result in checked.results if result.method == "dmarc"]
    if any(result.result == "fail" for result in dmarc):
        return "fail"
    if any(result.result == "pass" for result in dmarc):
        # Two DMARC results: one of them is not Google's.
        alone = len(dmarc) == 1
        return "pass" if alone and _from_domain(dmarc[0]) == host else "unknown"
    dkim = [result for result in checked.results if result.method == "dkim"]
    if any(result.result == "pass" and _is_aligned(result, host) for result in dkim):
        return "pass"
    outcomes = {r.result for r in checked.results if r.method in {"dkim", "spf"}}
    return "fail" if "fail" in outcomes and "pass" not in outcomes else "unknown"


def _from_domain(result: Result) -> str | None:
    return normalise_domain(result.properties.get("header.from", ""))


def _is_aligned(result: Result, host: str) -> bool:
    """Whether the signer may speak for this domain (RFC 7489 §3.1.1, made stricter).

    Equal, or a parent of it that is no public suffix. A subdomain does not speak for
    its parent: that is more than DMARC asks, and mail of people is signed by their own.
    """
    properties = result.properties
    signer = normalise_domain(
        properties["header.d"]
        if "header.d" in properties
        # Google names only the identity; its domain is the signer's or below it
        # (RFC 6376 §3.5), so what it may speak for, the signer may.
        else domain_of(properties.get("header.i", ""))
    )
    if signer is None:
        return False
    return signer == host or (is_within(host, signer) and not is_public_suffix(signer))
