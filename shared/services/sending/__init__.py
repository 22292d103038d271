"""From the CRM's request to a mail that went out once (rules S)."""
