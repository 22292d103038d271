"""Where each kind of record lives in the document store, and how it is written.

Every key is built here from a SubaccountId, a MailboxId or a UserId, so no caller can
read across tenants by accident.
"""
