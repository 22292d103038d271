# Each alert says what it means and where the way out is written: docs/runbook.md.
locals {
  runbook = "docs/runbook.md"

  # Alerts on the log metrics: more than so many in a window.
  log_alerts = {
    calls_failed          = { name = "Calls fail by our fault", above = 5, seconds = 900, severity = "ERROR" }
    logging_mailbox_down  = { name = "The logging mailbox is not read", above = 0, seconds = 3600, severity = "ERROR" }
    mailboxes_late        = { name = "Sync is late: mailboxes have not been synced", above = 0, seconds = 3600, severity = "ERROR" }
    sending_misconfigured = { name = "Sending is set wrongly", above = 0, seconds = 3600, severity = "ERROR" }
    mailboxes_need_reauth = { name = "Many mailboxes need re-authorization", above = var.reauth_wave, seconds = 3600, severity = "ERROR" }
    messages_quarantined  = { name = "Messages are set aside", above = 0, seconds = 3600, severity = "WARNING" }
    pushes_failed         = { name = "Pushes fail by a bug or a bad setting", above = 5, seconds = 900, severity = "ERROR" }
    sends_failed          = { name = "Sends fail", above = var.send_failures, seconds = 3600, severity = "ERROR" }
    watches_unhealthy     = { name = "Watches will expire although they are renewed", above = 0, seconds = 3600, severity = "CRITICAL" }
  }

  # Alerts on Google's own metrics.
  service_alerts = {
    dead_letters = {
      name       = "Dead letters: a message was given up"
      filter     = "resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription/dead_letter_message_count\""
      aligner    = "ALIGN_DELTA"
      above      = 0
      seconds    = 300
      severity   = "ERROR"
      reducer    = "REDUCE_SUM"
      group_by   = ["resource.label.subscription_id"]
      comparison = "COMPARISON_GT"
    }
    dead_letters_stuck = {
      name       = "Dead letters wait: they are not taken to quarantine"
      filter     = "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=monitoring.regex.full_match(\".*-dead-letter\") AND metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      aligner    = "ALIGN_MAX"
      above      = 3600
      seconds    = 300
      severity   = "ERROR"
      reducer    = "REDUCE_MAX"
      group_by   = ["resource.label.subscription_id"]
      comparison = "COMPARISON_GT"
    }
    scheduler_silent = {
      name       = "The schedule is silent: nobody sweeps or renews"
      filter     = "resource.type=\"pubsub_topic\" AND resource.labels.topic_id=\"scheduled-jobs\" AND metric.type=\"pubsub.googleapis.com/topic/send_message_operation_count\""
      aligner    = "ALIGN_DELTA"
      above      = 1
      seconds    = 3600
      severity   = "CRITICAL"
      reducer    = "REDUCE_SUM"
      group_by   = []
      comparison = "COMPARISON_LT"
    }
    sync_lag = {
      name       = "Sync is late: notifications or work wait for more than 15 minutes"
      filter     = "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=monitoring.regex.full_match(\"(${join("|", [for name, one in local.consumers : "${one.topic}-${local.service_names[name]}"])})\") AND metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      aligner    = "ALIGN_MAX"
      above      = 900
      seconds    = 300
      severity   = "ERROR"
      reducer    = "REDUCE_MAX"
      group_by   = ["resource.label.subscription_id"]
      comparison = "COMPARISON_GT"
    }
    events_unread = {
      name       = "The CRM does not read its events"
      filter     = "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"crm-events-crm\" AND metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      aligner    = "ALIGN_MAX"
      above      = 86400
      seconds    = 300
      severity   = "WARNING"
      reducer    = "REDUCE_MAX"
      group_by   = []
      comparison = "COMPARISON_GT"
    }
  }
}

resource "google_monitoring_notification_channel" "email" {
  for_each = toset(var.alert_emails)

  display_name = each.key
  type         = "email"
  labels       = { email_address = each.key }
  depends_on   = [google_project_service.this]
}

resource "google_monitoring_alert_policy" "log" {
  for_each = local.log_alerts

  display_name          = each.value.name
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = [for one in google_monitoring_notification_channel.email : one.id]

  conditions {
    display_name = each.value.name

    condition_threshold {
      filter          = "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.this[each.key].name}\""
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.above
      duration        = "0s"

      aggregations {
        alignment_period     = "${each.value.seconds}s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    content   = "${local.log_metrics[each.key].description}. What to do: ${local.runbook}, \"${each.value.name}\"."
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_alert_policy" "service" {
  for_each = local.service_alerts

  display_name          = each.value.name
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = [for one in google_monitoring_notification_channel.email : one.id]

  conditions {
    display_name = each.value.name

    condition_threshold {
      filter          = each.value.filter
      comparison      = each.value.comparison
      threshold_value = each.value.above
      duration        = "0s"
      # No value at all is as bad as a low one, where a low one is bad.
      evaluation_missing_data = each.value.comparison == "COMPARISON_LT" ? "EVALUATION_MISSING_DATA_ACTIVE" : null

      aggregations {
        alignment_period     = "${each.value.seconds}s"
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
        group_by_fields      = each.value.group_by
      }
    }
  }

  documentation {
    content   = "What to do: ${local.runbook}, \"${each.value.name}\"."
    mime_type = "text/markdown"
  }

  depends_on = [google_project_service.this]
}

# The share of calls that fail, whatever the code says of it: also what never reached it.
resource "google_monitoring_alert_policy" "error_rate" {
  display_name          = "Error rate: more than 5 % of a function's calls fail"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = [for one in google_monitoring_notification_channel.email : one.id]

  conditions {
    display_name = "5xx above 5 % for 10 minutes"

    condition_threshold {
      filter             = "resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/request_count\" AND metric.labels.response_code_class=\"5xx\""
      denominator_filter = "resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/request_count\""
      comparison         = "COMPARISON_GT"
      threshold_value    = 0.05
      duration           = "600s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_RATE"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.service_name"]
      }

      denominator_aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_RATE"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.service_name"]
      }
    }
  }

  documentation {
    content   = "What to do: ${local.runbook}, \"Error rate\". A 503 of a pushed function is a retry under way, not yet a fault."
    mime_type = "text/markdown"
  }

  depends_on = [google_project_service.this]
}
