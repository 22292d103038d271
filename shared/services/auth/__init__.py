"""Who calls: the CRM's tokens, and Pub/Sub's."""
