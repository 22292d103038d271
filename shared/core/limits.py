"""Every number that comes from outside or bounds an input, with its source and date.

Gmail's quota numbers differ between projects, so the ones that steer behaviour are
settings (shared/config.py) with these as defaults.
"""

from __future__ import annotations

# Gmail API batch endpoint allows 100 parts; 25 keep one batch below the per-user rate
# limit.
HEADERS_PER_BATCH = 25

# What we keep of one message. A bigger mail is recorded with `truncated`.
MAX_MIME_DEPTH = 20
MAX_MIME_PARTS = 200
MAX_BODY_BYTES = 1024 * 1024
MAX_HEADER_BYTES = 64 * 1024
MAX_ATTACHMENT_BYTES = 50 * 1024 * 1024
MAX_SUBJECT_CHARS = 2000
MAX_NAME_CHARS = 256
MAX_FILENAME_CHARS = 200
MAX_REFERENCES = 100
# What is kept of them, and sent on with a reply; a header line is folded at each.
MAX_REFERENCES_CHARS = 8000
# RFC 5322 §2.1.1: a line has at most 998 characters; no sane Message-ID is longer.
MAX_MESSAGE_ID_CHARS = 998
# HTML beyond this is shown as text: the parser's time grows with the square of the
# nesting (measured: 20,000 levels take 1 s, 100,000 take 40 s). A long thread written
# in Outlook has 30,000 tags in 1 MiB, 100 deep.
MAX_HTML_TAGS = 40_000
MAX_HTML_DEPTH = 1000
SNIPPET_CHARS = 200

# Firestore documents may hold 1 MiB (Firestore "Quotas and limits", read 2026-11);
# content above this goes to the blob store.
INLINE_CONTENT_BYTES = 200 * 1000
# Addresses of a message that can be asked for by `decisions?address=`.
MAX_INDEXED_ADDRESSES = 100

# RFC 5321 §4.5.3.1: local part 64, domain 255 octets, path 256 with its brackets.
MAX_ADDRESS_CHARS = 254
MAX_LOCAL_PART_CHARS = 64

# E2.
DECISION_DAYS = 30
# B7: a mail with more external To recipients makes no contact.
MAX_NEW_CONTACTS = 50
# Participants of one message that its thread remembers: a mailing list must not fill a
# document (1 MiB) that every answer reads.
MAX_THREAD_PARTICIPANTS = 100
# Mailboxes that a record lists. An entry takes some 600 bytes of its document's 1 MiB.
MAX_COPIES_LISTED = 500
# Bytes of an address's document (1 MiB, read for every mail with the address) that its
# contacts may take: some 2,600 of them, 74 when all have 20 addresses of full length.
MAX_CONTACTS_BYTES = 400_000
# Users that logging by BCC makes an address remember; 133 bytes each, at most. With the
# contacts that leaves room for a new one, and for members.
MAX_ESTABLISHED = 4000
# Send-as addresses of one account; Gmail's own limit is 99 (Gmail help, read 2026-12).
MAX_ALIASES = 500
# How often Gmail may announce a change that is not readable before the hint is dropped;
# the cursor stays, so the next notification covers it.
MAX_LAG_LOOKS = 4
# Attempts, counted before they are made, after which a message is set aside.
MAX_ATTEMPTS = 3
# Failed tries after which a message is set aside that alone cannot be read, and how
# long they must span: a busy mailbox makes many tries in a second.
MAX_TRIES = 5
MIN_TRYING_SECONDS = 60
# When a message that was set aside for a passing fault is read again by a sweep.
READ_AGAIN_HOURS = (1, 6, 24)
# S12: what is read of a bounce's texts and fields, how many recipients, and what is
# kept of a server's words. RFC 5321 §4.5.3.1.5: a reply line has at most 512 octets.
MAX_REPORT_BYTES = 128 * 1024
MAX_BOUNCED_RECIPIENTS = 100
MAX_BOUNCE_DETAIL_CHARS = 500
