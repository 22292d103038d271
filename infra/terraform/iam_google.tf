# Gmail publishes to the two topics that are watched, and to no other. An organisation
# that restricts members by domain must let this account in first, see docs/deploy.md.
resource "google_pubsub_topic_iam_member" "gmail" {
  for_each = toset(["bcc-notifications", "gmail-notifications"])

  topic  = google_pubsub_topic.this[each.key].name
  role   = "roles/pubsub.publisher"
  member = local.gmail_publisher
}

# Pub/Sub itself moves dead letters: without these two grants they vanish silently.
resource "google_pubsub_topic_iam_member" "dead_letters" {
  for_each = google_pubsub_topic.dead_letter

  topic  = each.value.name
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  for_each = merge(google_pubsub_subscription.push, { crm = google_pubsub_subscription.crm })

  subscription = each.value.name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

# Pub/Sub signs its pushes as the push account.
resource "google_service_account_iam_member" "push_tokens" {
  service_account_id = google_service_account.push.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.pubsub_agent
}

# The CRM pulls its events, and reads those that it refused too often.
resource "google_pubsub_subscription_iam_member" "crm" {
  for_each = {
    for pair in setproduct(["crm-events-crm", "crm-events-dead-letter"], var.crm_subscribers) :
    "${pair[0]}/${pair[1]}" => { subscription = pair[0], member = pair[1] }
  }

  subscription = (
    each.value.subscription == "crm-events-crm"
    ? google_pubsub_subscription.crm.name
    : google_pubsub_subscription.crm_dead_letter.name
  )
  role   = "roles/pubsub.subscriber"
  member = each.value.member
}

# The builder: reads the sources, writes its log and the image.
resource "google_project_iam_member" "builder" {
  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = google_service_account.builder.member
}

resource "google_storage_bucket_iam_member" "builder" {
  bucket = google_storage_bucket.bundles.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.builder.member
}

# Cloud Functions copies the sources to a bucket of its own before the build.
resource "google_project_iam_member" "builder_sources" {
  project = var.project_id
  role    = "roles/storage.objectViewer"
  member  = google_service_account.builder.member

  condition {
    title      = "function-sources-only"
    expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${local.project_number}-\")"
  }
}

resource "google_artifact_registry_repository_iam_member" "builder" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.builder.member
}
