"""A document that is full says so, in memory as on Firestore."""

from __future__ import annotations

import pytest

from shared.errors import DocumentFull
from shared.ports import Create, Documents, Merge, Union


def test_a_document_that_holds_no_more_is_full(documents: Documents) -> None:
    path, size = "things/full", 1024 * 1024
    with pytest.raises(DocumentFull):
        documents.commit([Create(path, {"text": "x" * size})])
    documents.commit([Create(path, {"list": ["x" * 1000] * 1000})])
    before = documents.get([path])[0]
    for add in ({"text": "x" * 60_000}, {"list": Union(("y" * 60_000,))}):
        with pytest.raises(DocumentFull):
            documents.commit([Merge(path, add), Create("things/other", {})])
    assert documents.get([path])[0].version == before.version
    assert not documents.get(["things/other"])[0].exists
