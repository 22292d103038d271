"""E2: one rule and one sentence for each decision."""

from __future__ import annotations

import itertools
import re

import pytest

from shared.core.matching.reasons import Outcome, explain, most_specific_refusal

RECORDED = ["M5", "M6", "M9", "M10", "T2", "T3", "B2", "B6", "B7", "S1", "S2"]
# Of two subaccounts' refusals the one that stands first here is named.
REFUSALS = ["T3", "M9", "M2", "M12", "M10", "M3", "T2", "B5", "B7", "M11", "M7", "B1"]
IGNORED = [*REFUSALS, "C2", "C6", "M1", "M4", "M13"]


def test_e2_every_decision_has_a_sentence_of_its_own() -> None:
    told = [
        *(explain(rule, "recorded") for rule in RECORDED),
        *(explain(rule, "ignored") for rule in IGNORED),
        explain("E3", "quarantined"),
        explain("?", "recorded"),
        explain("?", "ignored"),
    ]
    assert len(set(told)) == len(told)
    for sentence in told:
        assert re.fullmatch(r"[A-Z][a-z ].*[A-Za-z\d]\.", sentence)
        assert not sentence.isupper()


@pytest.mark.parametrize("outcome", ["recorded", "ignored"])
def test_e2_a_rule_of_an_older_version_is_told_in_general(outcome: Outcome) -> None:
    assert explain("X1", outcome) == explain("X2", outcome)


@pytest.mark.parametrize("pair", [*itertools.pairwise(REFUSALS)])
def test_e2_of_several_refusals_the_most_telling_is_named(
    pair: tuple[str, str],
) -> None:
    assert most_specific_refusal(pair) == pair[0]
    assert most_specific_refusal(reversed(pair)) == pair[0]


def test_e2_where_no_subaccount_had_a_say_no_bcc_address_was_known() -> None:
    assert most_specific_refusal([]) == "B1"
