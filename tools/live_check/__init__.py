"""Questions that only a real Gmail and a real project can answer, asked and reported.

    python -m tools.live_check --project P --region R --address ME@example.com
    python -m tools.live_check --dry-run

Use a throw-away project and mailbox: it sends mails, from the mailbox to itself.
"""
