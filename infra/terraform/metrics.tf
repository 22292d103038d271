# Counted from the functions' own log lines: events of fixed names (shared/logs.py), in
# which nothing private can be. A test compares the names with the code's.
locals {
  log_metrics = {
    calls_failed = {
      events      = ["call_failed", "connect_failed"]
      description = "Calls of the API or pages that ended in a fault of ours"
    }
    events_left = {
      events      = ["outbox_backlog_found", "sweep_resume_failed"]
      description = "Events that a crash left behind, found by the sweep"
    }
    logging_mailbox_down = {
      events      = ["logging_mailbox_down"]
      description = "Checks that found the logging mailbox unread (B4)"
    }
    mailboxes_late = {
      events      = ["sync_late"]
      description = "Mailboxes found late by the health check (E6)"
    }
    mailboxes_need_reauth = {
      events      = ["mailbox_needs_reauth"]
      description = "Mailboxes that lost their consent (C7)"
    }
    messages_quarantined = {
      events      = ["message_quarantined"]
      description = "Messages set aside (E3)"
    }
    pushes_failed = {
      events      = ["push_failed"]
      description = "Pushes that ended in a bug or a bad setting"
    }
    pushes_refused = {
      events      = ["push_refused"]
      description = "Pushes without our subscription's token"
    }
    renewals_failed = {
      events      = ["renewal_failed"]
      description = "Watches that could not be renewed this time (W1)"
    }
    resyncs = {
      events      = ["history_expired"]
      description = "Mailboxes whose history had expired (W3)"
    }
    sending_misconfigured = {
      events      = ["sending_misconfigured"]
      description = "Mails that wait because the deployment is set wrongly"
    }
    sends_failed = {
      events      = ["send_ended"]
      where       = "jsonPayload.kind=\"message.failed\""
      description = "Mails of the CRM that failed (S8)"
    }
    syncs_interrupted = {
      events      = ["sync_interrupted"]
      description = "Readings of a mailbox that stopped before their end"
    }
    watches_unhealthy = {
      events      = ["watch_expiring", "watches_unhealthy"]
      description = "Watches that will expire soon although they are renewed daily (W1)"
    }
  }
}

resource "google_logging_metric" "this" {
  for_each = local.log_metrics

  name        = "gmail-sync/${each.key}"
  description = each.value.description

  # A line that has a message and no other field is kept as text, not as JSON.
  filter = join(" AND ", concat(
    [
      "resource.type=\"cloud_run_revision\"",
      format("(%s)", join(" OR ", flatten([
        for event in each.value.events : ["jsonPayload.message=\"${event}\"", "textPayload=\"${event}\""]
      ]))),
    ],
    try([each.value.where], []),
  ))

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    labels {
      key         = "code"
      value_type  = "STRING"
      description = "Stable code of the error, where there is one"
    }
  }

  label_extractors = {
    code = "EXTRACT(jsonPayload.code)"
  }

  depends_on = [google_project_service.this]
}
