locals {
  # shared/core/syncing/lease.py and infra/local/wiring.py have the same numbers.
  ack_deadline_seconds  = 180
  max_delivery_attempts = 10 # bridges about an hour of an outage with this backoff
  retention             = "604800s"
}

# A topic's messages, pushed to its function.
resource "google_pubsub_subscription" "push" {
  for_each = local.consumers

  name                       = "${each.value.topic}-${local.service_names[each.key]}"
  topic                      = google_pubsub_topic.this[each.value.topic].name
  ack_deadline_seconds       = local.ack_deadline_seconds
  message_retention_duration = local.retention

  push_config {
    push_endpoint = local.function_urls[each.key]

    oidc_token {
      audience              = local.function_urls[each.key]
      service_account_email = google_service_account.push.email
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = "${local.topic_path}/${google_pubsub_topic.dead_letter[each.value.topic].name}"
    max_delivery_attempts = local.max_delivery_attempts
  }

  # Else 31 idle days delete it.
  expiration_policy {
    ttl = ""
  }

  depends_on = [google_cloud_run_v2_service_iam_member.push, google_service_account_iam_member.push_tokens]
}

# Dead letters, pushed to the function that keeps them in quarantine. They have no dead
# letters of their own: they come again for seven days, and an alert tells of it. Acked
# ones are kept as long, so that an operator can wind back.
resource "google_pubsub_subscription" "dead_letter" {
  for_each = local.consumers

  name                       = "${each.value.topic}-dead-letter"
  topic                      = google_pubsub_topic.dead_letter[each.value.topic].name
  ack_deadline_seconds       = local.ack_deadline_seconds
  message_retention_duration = local.retention
  retain_acked_messages      = true

  push_config {
    push_endpoint = local.function_urls["dead_letter"]

    oidc_token {
      audience              = local.function_urls["dead_letter"]
      service_account_email = google_service_account.push.email
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  expiration_policy {
    ttl = ""
  }

  depends_on = [google_cloud_run_v2_service_iam_member.push, google_service_account_iam_member.push_tokens]
}

# The CRM's events, which it pulls. Made here, because an event that is published before
# there is a subscription is lost.
resource "google_pubsub_subscription" "crm" {
  name                       = "crm-events-crm"
  topic                      = google_pubsub_topic.this["crm-events"].name
  ack_deadline_seconds       = 60
  message_retention_duration = local.retention

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  # The most that Pub/Sub allows: half a day of a CRM that refuses everything.
  dead_letter_policy {
    dead_letter_topic     = "${local.topic_path}/${google_pubsub_topic.dead_letter["crm-events"].name}"
    max_delivery_attempts = 100
  }

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription" "crm_dead_letter" {
  name                       = "crm-events-dead-letter"
  topic                      = google_pubsub_topic.dead_letter["crm-events"].name
  ack_deadline_seconds       = 60
  message_retention_duration = local.retention

  expiration_policy {
    ttl = ""
  }
}
