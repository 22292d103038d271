"""Bring in many contacts: rows in batches, each batch one commit.

Repeating an import changes nothing, so a caller who lost the answer sends it again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.core.ids import SubaccountId
from shared.errors import Conflict, DocumentFull, Problem
from shared.repositories.directory import ContactToWrite
from shared.services.compare_and_set import retry_on_conflict
from shared.services.crm.directory import TOO_MANY_AT_ADDRESS, Directory

# A commit takes 500 writes: a row costs one, and one for each address, old or new.
_ROWS_PER_BATCH = 100
_ADDRESSES_PER_BATCH = 200
MAX_FAILED_LISTED = 1000
"""Lines that one response lists; the caller mends these and imports again."""
_MAX_DETAIL_CHARS = 500


@dataclass(frozen=True, slots=True)
class Row:
    """A good line: a contact to write."""

    line: int
    contact: ContactToWrite


@dataclass(frozen=True, slots=True)
class FailedRow:
    """A line that was not taken, and why."""

    line: int
    code: str
    detail: str


@dataclass(slots=True)
class Imported:
    """How it went. `failed` lists the first of the lines that `failed_count` counts."""

    imported: int = 0
    failed: list[FailedRow] = field(default_factory=list)
    failed_count: int = 0


class ContactImport:
    """One import under way. Rows take effect in order: the last of an id wins."""

    def __init__(self, directory: Directory, subaccount: SubaccountId) -> None:
        """Begin."""
        self._directory = directory
        self._subaccount = subaccount
        self._batch: dict[str, Row] = {}
        self._addresses = 0
        self._done = Imported()

    def add(self, row: Row) -> None:
        """Take a good row; writes when a batch is full."""
        if row.contact.id in self._batch:
            self._write()
        self._batch[row.contact.id] = row
        self._addresses += len(row.contact.emails)
        if (
            len(self._batch) >= _ROWS_PER_BATCH
            or self._addresses >= _ADDRESSES_PER_BATCH
        ):
            self._write()

    def refuse(self, line: int, problem: Problem) -> None:
        """Note a bad row."""
        places = "; ".join(
            f"{error.get('pointer', '')} {error['detail']}".strip()
            for error in problem.errors
        )
        self._fail(FailedRow(line, problem.code, places or problem.detail))

    def finish(self) -> Imported:
        """Write what is left, and say how it went; failed lines in order."""
        self._write()
        self._done.failed.sort(key=lambda row: row.line)
        return self._done

    def _fail(self, row: FailedRow) -> None:
        """Count a line that was not taken, and list it as long as there is room."""
        self._done.failed_count += 1
        if len(self._done.failed) < MAX_FAILED_LISTED:
            detail = row.detail[:_MAX_DETAIL_CHARS]
            self._done.failed.append(FailedRow(row.line, row.code, detail))

    def _write(self) -> None:
        rows = list(self._batch.values())
        self._batch.clear()
        self._addresses = 0
        if rows:
            self._write_rows(rows)

    def _write_rows(self, rows: list[Row]) -> None:
        """Write rows; whatever is wrong with one of them, the others do not suffer.

        Rows beyond an address's cap are known before the commit. When the commit is
        refused all the same, halves are tried: a few commits for each bad row.
        """
        error = self._commit(rows)
        if error is None:
            return
        if len(rows) == 1:
            self._fail(FailedRow(rows[0].line, error.code, error.detail))
            return
        half = len(rows) // 2
        self._write_rows(rows[:half])
        self._write_rows(rows[half:])

    def _commit(self, rows: list[Row]) -> Conflict | DocumentFull | None:
        """Write rows; the error when one of them cannot be written."""
        contacts = [row.contact for row in rows]
        full = DocumentFull(TOO_MANY_AT_ADDRESS)
        try:
            refused = retry_on_conflict(
                lambda: self._directory.write_contacts(self._subaccount, contacts)
            )
        except Conflict as error:
            return error
        except DocumentFull:
            return full
        ids = {contact.id for contact in refused}
        for row in rows:
            if row.contact.id in ids:
                self._fail(FailedRow(row.line, full.code, full.detail))
        self._done.imported += len(rows) - len(ids)
        return None
