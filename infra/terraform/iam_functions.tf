# What each function may do; all of it from the map in functions.tf. The database is the
# one grant that all share: Firestore knows no rights per collection.
resource "google_project_iam_member" "firestore" {
  for_each = local.functions

  project = var.project_id
  role    = "roles/datastore.user"
  member  = google_service_account.function[each.key].member

  condition {
    title      = "this-database"
    expression = "resource.name == \"projects/${var.project_id}/databases/${google_firestore_database.this.name}\""
  }
}

resource "google_storage_bucket_iam_member" "blobs" {
  for_each = { for name, one in local.functions : name => one if one.blobs }

  bucket = google_storage_bucket.blobs.name
  role   = local.roles.blob_user
  member = google_service_account.function[each.key].member
}

resource "google_pubsub_topic_iam_member" "function" {
  for_each = merge([
    for name, one in local.functions : {
      for topic in one.publishes : "${name}/${topic}" => { function = name, topic = topic }
    }
  ]...)

  topic  = google_pubsub_topic.this[each.value.topic].name
  role   = "roles/pubsub.publisher"
  member = google_service_account.function[each.value.function].member
}

resource "google_cloud_run_v2_service_iam_member" "push" {
  for_each = setsubtract(keys(local.functions), local.public_functions)

  name     = google_cloudfunctions2_function.this[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.push.member
}

resource "google_cloud_run_v2_service_iam_member" "public" {
  # Browsers and the CRM are no Google accounts; the functions authenticate them.
  for_each = toset(local.public_functions)

  name     = google_cloudfunctions2_function.this[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"
}
