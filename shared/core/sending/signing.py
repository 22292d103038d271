"""A signature below a mail of the CRM, as Gmail's own composer puts it (S14)."""

from __future__ import annotations

import re

from shared.core.parsing.text_from_html import text_from_html

_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)


def signed(
    text: str | None, html: str | None, signature: str
) -> tuple[str | None, str | None]:
    """Text and HTML with the signature below each that there is.

    A mail without a body has the signature as its HTML. `-- ` is what mail programs
    know a signature by (RFC 3676 §4.3).
    """
    words = text_from_html(signature).strip()
    if not words and "<img" not in signature.lower():
        return text, html
    if text is None and html is None:
        html = ""
    if text is not None:
        text = f"{text.rstrip()}\n\n-- \n{words}"
    if html is not None:
        below = (
            '<br clear="all"><span class="gmail_signature_prefix">-- </span><br>'
            f'<div class="gmail_signature" data-smartmail="gmail_signature">{signature}'
            "</div>"
        )
        ends = [*_BODY_END.finditer(html)]
        at = ends[-1].start() if ends else len(html)
        html = html[:at] + below + html[at:]
    return text, html
