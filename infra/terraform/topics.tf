locals {
  topic_path = "projects/${var.project_id}/topics"

  # What functions are pushed; crm-events is the CRM's.
  consumed_topics = [for topic in local.topics : topic if topic != "crm-events"]

  # Names are part of the contract.
  topics = toset([
    "bcc-notifications",
    "crm-events",
    "gmail-notifications",
    "mailbox-work",
    "outbound-messages",
    "scheduled-jobs",
  ])
}

resource "google_pubsub_topic" "this" {
  #checkov:skip=CKV_GCP_83:messages hold ids and no mail; Google's own keys are enough
  for_each = local.topics

  name                       = each.key
  message_retention_duration = "604800s" # 7 days: a subscription can be wound back

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.this]
}

# Where Pub/Sub puts what a consumer could not take. Every topic has a consumer.
resource "google_pubsub_topic" "dead_letter" {
  #checkov:skip=CKV_GCP_83:messages hold ids and no mail; Google's own keys are enough
  for_each = local.topics

  name                       = "${each.key}-dead-letter"
  message_retention_duration = "604800s"

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.this]
}
