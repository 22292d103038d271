"""What one large mail costs on its whole way: a second, and not the process.

Each took 8 to 35 s before; the bound leaves room for a slow machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from shared.core.ids import MailboxId, SubaccountId
from shared.core.matching.lookups import Known
from shared.core.matching.parties import Parties, is_any_listed
from shared.core.parsing.data_pictures import without_pictures
from shared.core.parsing.sanitise import safe_html
from shared.core.people import MailboxForMatching, SubaccountForMatching

MIB = 1024 * 1024
SECONDS = 4
PICTURE = '<img src="data:image/png;base64,AAAA">'


def domains(count: int) -> tuple[str, ...]:
    return tuple(f"d{number}.internal.example" for number in range(count))


def recipients() -> list[str]:
    return [f"p{number}@many.example" for number in range(10_000)]


def internal() -> None:
    team = SubaccountForMatching(SubaccountId("s"), internal_domains=domains(1000))
    ours = frozenset(f"a{number}@ours.example" for number in range(500))
    parties = Parties(Known(), team, ours)
    assert len(parties.participants(recipients())) == 10_000


def own() -> None:
    ours = frozenset(f"a{number}@ours.example" for number in range(500))
    mailbox = MailboxForMatching(MailboxId("b"), "a0@ours.example", ours, (), ())
    assert not any(map(mailbox.is_own, recipients()))


def listed() -> None:
    never_log = domains(500) + tuple(f"n{n}@listed.example" for n in range(500))
    for _ in range(500):
        assert not is_any_listed(recipients()[:20], never_log)


CASES: dict[str, Callable[[], object]] = {
    "ampersands": lambda: safe_html("&" * MIB),
    "ampersands in a value": lambda: safe_html(f'<p title="{"&" * (MIB // 2)}">x'),
    "attributes of one tag": lambda: safe_html(
        "<a " + " ".join(f"a{n}" for n in range(150_000)) + ">x"
    ),
    "attributes with quotes": lambda: safe_html(
        "<a " + " ".join(f'a{n}=">"' for n in range(90_000)) + ">x"
    ),
    "pictures among tags": lambda: without_pictures(PICTURE + "<b>" * (7 * MIB), "p"),
    "a picture with attributes": lambda: without_pictures(
        PICTURE + "<img" + " a='b'" * (2 * MIB) + ">", "p"
    ),
    "pictures among comments": lambda: without_pictures(
        PICTURE + "<!---->" * (2 * MIB), "p"
    ),
    "recipients and internal domains": internal,
    "recipients and own addresses": own,
    "contacts and never-log lists": listed,
}


@pytest.mark.parametrize("case", CASES)
def test_a_large_mail_takes_no_more_than_moments(case: str) -> None:
    begun = time.process_time()
    CASES[case]()
    assert time.process_time() - begun < SECONDS


def test_m16_the_words_of_what_is_too_large_to_parse_are_shown() -> None:
    assert "words" in safe_html("<p>words</p>" + "&" * 200_000)
    wide = "<p " + " ".join(f"a{n}" for n in range(50_000)) + ">words</p>"
    assert "words" in safe_html(wide)
