locals {
  # Title, filter, aligner and grouping of each chart, two a row.
  charts = concat(
    [
      {
        title    = "Calls by function and class"
        filter   = "resource.type=\"cloud_run_revision\" metric.type=\"run.googleapis.com/request_count\""
        aligner  = "ALIGN_RATE"
        reducer  = "REDUCE_SUM"
        group_by = ["resource.label.service_name", "metric.label.response_code_class"]
      },
      {
        title    = "Time a call takes (99th percentile)"
        filter   = "resource.type=\"cloud_run_revision\" metric.type=\"run.googleapis.com/request_latencies\""
        aligner  = "ALIGN_PERCENTILE_99"
        reducer  = "REDUCE_MAX"
        group_by = ["resource.label.service_name"]
      },
      {
        title    = "Backlog by subscription"
        filter   = "resource.type=\"pubsub_subscription\" metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\""
        aligner  = "ALIGN_MAX"
        reducer  = "REDUCE_MAX"
        group_by = ["resource.label.subscription_id"]
      },
      {
        title    = "Sync lag: age of the oldest waiting message"
        filter   = "resource.type=\"pubsub_subscription\" metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
        aligner  = "ALIGN_MAX"
        reducer  = "REDUCE_MAX"
        group_by = ["resource.label.subscription_id"]
      },
      {
        title    = "Dead letters by subscription"
        filter   = "resource.type=\"pubsub_subscription\" metric.type=\"pubsub.googleapis.com/subscription/dead_letter_message_count\""
        aligner  = "ALIGN_DELTA"
        reducer  = "REDUCE_SUM"
        group_by = ["resource.label.subscription_id"]
      },
      {
        title    = "Memory by function"
        filter   = "resource.type=\"cloud_run_revision\" metric.type=\"run.googleapis.com/container/memory/utilizations\""
        aligner  = "ALIGN_PERCENTILE_99"
        reducer  = "REDUCE_MAX"
        group_by = ["resource.label.service_name"]
      },
    ],
    [
      for name, one in local.log_metrics : {
        title    = one.description
        filter   = "resource.type=\"cloud_run_revision\" metric.type=\"logging.googleapis.com/user/${google_logging_metric.this[name].name}\""
        aligner  = "ALIGN_DELTA"
        reducer  = "REDUCE_SUM"
        group_by = ["metric.label.code"]
      }
    ],
  )
}

resource "google_monitoring_dashboard" "this" {
  dashboard_json = jsonencode({
    displayName = "Gmail two-way sync"
    mosaicLayout = {
      columns = 12
      tiles = [
        for index, chart in local.charts : {
          xPos   = index % 2 * 6
          yPos   = floor(index / 2) * 4
          width  = 6
          height = 4
          widget = {
            title = chart.title
            xyChart = {
              dataSets = [{
                plotType = "LINE"
                timeSeriesQuery = {
                  timeSeriesFilter = {
                    filter = chart.filter
                    aggregation = {
                      alignmentPeriod    = "300s"
                      perSeriesAligner   = chart.aligner
                      crossSeriesReducer = chart.reducer
                      groupByFields      = chart.group_by
                    }
                  }
                }
              }]
            }
          }
        }
      ]
    }
  })
}
