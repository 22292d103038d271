# Hints only: what is due is decided by the functions, from their own records.
locals {
  jobs = {
    renew-watches = { schedule = "17 3 * * *", payload = { job = "renew-watches" } } # W1: daily
    sweep         = { schedule = "*/15 * * * *", payload = { job = "sweep" } }       # W2
  }
}

resource "google_cloud_scheduler_job" "this" {
  for_each = local.jobs

  name      = each.key
  region    = var.region
  schedule  = each.value.schedule
  time_zone = "Etc/UTC"

  pubsub_target {
    topic_name = "${local.topic_path}/${google_pubsub_topic.this["scheduled-jobs"].name}"
    data       = base64encode(jsonencode(each.value.payload))
  }

  retry_config {
    retry_count = 5
  }
}
