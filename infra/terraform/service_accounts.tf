# One account per function: a bug in one reaches only what that one needs. The project's
# default accounts are not used.
resource "google_service_account" "function" {
  for_each = local.functions

  account_id   = "fn-${local.service_names[each.key]}"
  display_name = "Function ${each.key}"
  depends_on   = [google_project_service.this]
}

# As whom Pub/Sub pushes; it may call the pushed functions and nothing else.
resource "google_service_account" "push" {
  account_id   = "pubsub-push"
  display_name = "Pub/Sub pushes"
  depends_on   = [google_project_service.this]
}

# As whom the functions' images are built.
resource "google_service_account" "builder" {
  account_id   = "function-builder"
  display_name = "Builds the functions"
  depends_on   = [google_project_service.this]
}
