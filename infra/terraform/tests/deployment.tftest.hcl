# What must hold for any deployment, on made-up answers of Google. The exact set of grants
# is compared by tests/infra.
mock_provider "archive" {}

mock_provider "google" {
  override_data {
    target = data.google_project.this
    values = { number = "123456789012" }
  }

  mock_resource "google_service_account" {
    defaults = {
      email  = "made-up@demo-project.iam.gserviceaccount.com"
      id     = "projects/demo-project/serviceAccounts/made-up@demo-project.iam.gserviceaccount.com"
      member = "serviceAccount:made-up@demo-project.iam.gserviceaccount.com"
      name   = "projects/demo-project/serviceAccounts/made-up@demo-project.iam.gserviceaccount.com"
    }
  }

  mock_resource "google_pubsub_topic" {
    defaults = { id = "projects/demo-project/topics/made-up" }
  }

  mock_resource "google_project_iam_custom_role" {
    defaults = { id = "projects/demo-project/roles/madeUp" }
  }
}

variables {
  project_id = "demo-project"
}

run "least_settings" {
  command = plan

  assert {
    condition     = alltrue([for one in google_pubsub_subscription.push : one.ack_deadline_seconds > 130 + 20])
    error_message = "A dead holder's redelivery must come after its lease."
  }

  assert {
    condition     = alltrue([for one in google_pubsub_subscription.push : one.expiration_policy[0].ttl == ""])
    error_message = "An idle subscription would be deleted after 31 days."
  }

  assert {
    condition     = alltrue([for one in google_pubsub_subscription.push : one.push_config[0].oidc_token[0].audience == one.push_config[0].push_endpoint])
    error_message = "A push's audience must be the very function it goes to."
  }

  assert {
    condition     = alltrue([for one in google_cloudfunctions2_function.this : one.service_config[0].timeout_seconds == 120])
    error_message = "A function's time must end before its lease."
  }

  assert {
    condition     = output.public_url == "https://connect-123456789012.europe-west1.run.app"
    error_message = "Without a domain browsers go to the function itself."
  }

  assert {
    condition     = google_cloudfunctions2_function.this["inbound"].service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"
    error_message = "The internet has no business at a pushed function."
  }

  assert {
    condition     = google_cloudfunctions2_function.this["api"].service_config[0].environment_variables["THREADS"] == tostring(google_cloudfunctions2_function.this["api"].service_config[0].max_instance_request_concurrency)
    error_message = "Calls would wait in the server's queue."
  }

  assert {
    condition     = length(google_compute_global_forwarding_rule.this) == 0 && length(google_billing_budget.this) == 0
    error_message = "What is optional must cost nothing."
  }
}

run "everything_set" {
  command = plan

  variables {
    alert_emails       = ["oncall@example.com"]
    bcc_address_format = "log+{token}@example.com"
    budget             = { amount = 100, billing_account = "012345-6789AB-CDEF01" }
    crm_subscribers    = ["serviceAccount:crm@my-crm.iam.gserviceaccount.com"]
    domain             = "sync.example.com"
    frame_ancestors    = ["https://crm.example.com"]
    functions          = { api = { min_instances = 1, memory = "2Gi" } }
    recovery_window    = false
    return_to_allowed  = ["https://crm.example.com"]
  }

  assert {
    condition     = output.redirect_uri == "https://sync.example.com/oauth/callback"
    error_message = "With a domain, the consent returns there."
  }

  assert {
    condition     = google_cloudfunctions2_function.this["api"].service_config[0].available_memory == "2Gi"
    error_message = "Sizes can be changed."
  }

  assert {
    condition     = google_cloudfunctions2_function.this["connect"].service_config[0].ingress_settings == "ALLOW_INTERNAL_AND_GCLB"
    error_message = "With a load balancer nobody goes round it."
  }

  assert {
    condition     = google_firestore_database.this.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_DISABLED" && google_storage_bucket.blobs.soft_delete_policy[0].retention_duration_seconds == 0
    error_message = "Erased must be erased at once."
  }
}

run "bad_values" {
  command = plan
  variables {
    alert_emails       = ["nobody"]
    bcc_address_format = "log@example.com"
    consumer_addresses = "maybe"
    crm_subscribers    = ["allUsers"]
    daily_send_cap     = 0
    domain             = "https://sync.example.com"
    frame_ancestors    = ["https://crm.example.com/page"]
    functions          = { nothing = {} }
    project_id         = "No Project"
    push_ingress       = "ANYBODY"
    region             = "europe-west1-b"
    return_to_allowed  = ["http://crm.example.com"]
  }
  expect_failures = [
    var.alert_emails,
    var.bcc_address_format,
    var.consumer_addresses,
    var.crm_subscribers,
    var.daily_send_cap,
    var.domain,
    var.frame_ancestors,
    var.functions,
    var.project_id,
    var.push_ingress,
    var.region,
    var.return_to_allowed,
  ]
}
