"""`python -m gmail_sync` is the command `gmail-sync`."""

from gmail_sync.cli import main

main()
