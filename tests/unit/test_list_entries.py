"""Never-log entries and internal domains: what can match nothing is refused (M11, M12)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.parsing.address import in_domains, is_listed
from shared.core.parsing.list_entries import internal_domain, never_log_entry

LISTED = [
    ("ann@client.example", "ann@client.example"),
    (" Ann@Client.example ", "ann@client.example"),
    ("ann+news@client.example", "ann+news@client.example"),
    ('"ann lee"@client.example', '"ann lee"@client.example'),
    ("client.example", "client.example"),
    ("@client.example", "client.example"),
    ("Client.Example.", "client.example"),
    (" @Client.Example. ", "client.example"),
    ("müller.example", "xn--mller-kva.example"),
    ("ann@müller.example", "ann@xn--mller-kva.example"),
    ("gmail.com", "gmail.com"),
    ("co.uk", "co.uk"),
]
USELESS = [
    *("*@client.example", "ann+*@client.example", "*.client.example", "*", "@*"),
    *("client.*", "a*n@client.example", "%@client.example", "?@client.example"),
    *("client", "localhost", "com", "@com", "com.", "ann@localhost", "ann@com"),
    *("http://client.example", "https://client.example/", "client.example/x"),
    *("mailto:ann@client.example", "Ann <ann@client.example>", "ann@", "@", ".", ""),
    *("ann at client.example", "client example", "ann@client.example, bob@x.example"),
    *(
        "client.example, x.example",
        ".client.example",
        "client..example",
        "a@b@c.example",
    ),
    *("192.0.2.1", "ann@192.0.2.1", "ann@[192.0.2.1]", "ann@client.example."),
    *("-client.example", f"{'a' * 64}.example", "cli_ent.example", "client.example:25"),
]


@pytest.mark.parametrize(("text", "entry"), LISTED)
def test_m12_what_a_list_may_hold(text: str, entry: str) -> None:
    assert never_log_entry(text) == entry
    assert never_log_entry(entry) == entry
    assert is_listed(entry if "@" in entry else f"ann@{entry}", [entry])
    assert "@" in entry or is_listed(f"ann@eu.{entry}", [entry])


@pytest.mark.parametrize("text", USELESS)
def test_m12_what_could_match_nothing_is_refused_with_what_is_accepted(
    text: str,
) -> None:
    with pytest.raises(ValueError, match=r"client\.example, which stands for its sub"):
        never_log_entry(text)


@pytest.mark.parametrize("text", [*USELESS, "ann@client.example"])
def test_m11_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a domain such as client\.example"):
        internal_domain(text)


@pytest.mark.parametrize(
    "text",
    ["gmail.com", "@GMail.com", "googlemail.com.", "outlook.com", "co.uk", "github.io"],
)
def test_m11_a_domain_where_anybody_has_an_address_is_nobodys_own(text: str) -> None:
    with pytest.raises(ValueError, match="the team's own"):
        internal_domain(text)


@pytest.mark.parametrize("text", ["Ours.example", "@ours.example", "eu.ours.example."])
def test_m11_a_teams_own_domain(text: str) -> None:
    domain = internal_domain(text)
    assert internal_domain(domain) == domain
    assert in_domains(f"ann@{domain}", [domain])


WRITTEN = st.text(st.sampled_from('ab.@*+-% "x:/é'), max_size=20) | st.builds(
    "{}{}.example{}".format,
    st.sampled_from(["", "@", "ann@", "*@", "*.", " "]),
    st.sampled_from(["a", "b.c", "é", "-"]),
    st.sampled_from(["", ".", "*", " "]),
)


@given(WRITTEN)
def test_m12_what_is_accepted_matches_something_and_is_stable(text: str) -> None:
    try:
        entry = never_log_entry(text)
    except ValueError:
        return
    assert never_log_entry(entry) == entry
    assert is_listed(entry if "@" in entry else f"ann@{entry}", [entry])
