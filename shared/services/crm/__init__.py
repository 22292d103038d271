"""What the CRM tells, reads and erases."""
