"""The scene that most use cases begin with."""

from __future__ import annotations

import pytest

from tests.support.system import System


@pytest.fixture
def system() -> System:
    """A user whose mailbox is connected, and a contact."""
    system = System()
    system.subaccount()
    system.user("u", "rep@ours.example")
    system.contact("ada", "ada@client.example")
    system.connect("u", "rep@ours.example")
    system.settle()
    return system
