# The project's number is in the names of Google's own accounts and of the functions'
# addresses, and nothing else tells it: the one data source here.
data "google_project" "this" {
  project_id = var.project_id
}

locals {
  project_number = data.google_project.this.number

  # Google's own accounts that act in this project.
  pubsub_agent = "serviceAccount:service-${local.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
  # The one account that publishes Gmail's notifications, for everybody.
  gmail_publisher = "serviceAccount:gmail-api-push@system.gserviceaccount.com"
}
