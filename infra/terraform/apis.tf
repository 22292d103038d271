locals {
  apis = toset(concat(
    [
      "artifactregistry",
      "cloudbuild",
      "cloudfunctions",
      "cloudscheduler",
      "firebaserules",
      "firestore",
      "gmail",
      "iam",
      "logging",
      "monitoring",
      "pubsub",
      "run",
      "secretmanager",
      "storage",
    ],
    var.budget == null ? [] : ["billingbudgets"],
    var.domain == null ? [] : ["compute"],
  ))
}

resource "google_project_service" "this" {
  for_each = local.apis

  service = "${each.key}.googleapis.com"
  # Others may have come to use it; and Gmail's goes on pushing while we tear down.
  disable_on_destroy = false
}
