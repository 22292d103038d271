"""The scene that most use cases begin with."""

from __future__ import annotations

import pytest

from tests.support.system import System


@pytest.fixture
def system() -> System:
    """A user whose mailbox is connected, and a contact."""
    one = System()
    one.subaccount()
    one.user("u", "rep@ours.example")
    one.contact("ada", "ada@client.example")
    one.connect("u", "rep@ours.example")
    one.settle()
    return one
