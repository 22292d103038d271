"""The figures of docs/deploy.md are those of the code."""

from __future__ import annotations

from tests.infra.offline import ROOT
from tools import costs

DEPLOY = (ROOT / "docs" / "deploy.md").read_text()


def test_table_in_the_documentation_is_what_the_script_prints():
    shown = DEPLOY.partition("<!-- costs -->\n")[2].partition("<!-- /costs -->")[0]

    assert shown.strip() == costs.table().strip()


def test_units_are_those_that_are_promised():
    assert costs.MATCHED_MAIL.units == 2 + 20 + 20
    assert costs.UNMATCHED_MAIL.units == 2 + 20
    assert costs.IDLE_MAILBOX_DAY.units <= 173


def test_every_variable_and_output_that_the_walk_names_exists():
    terraform = "\n".join(
        (ROOT / "infra" / "terraform" / name).read_text()
        for name in ("variables.tf", "outputs.tf")
    )
    for variable in ("bcc_address_format", "crm_subscribers", "domain", "push_ingress",
                     "recovery_window"):  # fmt: skip
        assert variable in DEPLOY
        assert f'variable "{variable}"' in terraform
    for output in ("api_url", "crm_subscription", "load_balancer_address", "next_step",
                   "public_url", "redirect_uri"):  # fmt: skip
        assert output in DEPLOY
        assert f'output "{output}"' in terraform


def test_cheaper_operations_cost_less():
    prices = costs.Prices()

    assert costs.cost(costs.UNMATCHED_MAIL, prices) < costs.cost(
        costs.MATCHED_MAIL, prices
    ) < costs.cost(costs.SENT_MAIL, prices)  # fmt: skip
