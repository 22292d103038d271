# Roles with exactly the calls that the gateways make (shared/gateways): Google's own
# roles for these hold more.
locals {
  roles = {
    for name, role in {
      blob_user        = google_project_iam_custom_role.blob_user
      secret_creator   = google_project_iam_custom_role.secret_creator
      secret_destroyer = google_project_iam_custom_role.secret_destroyer
      secret_reader    = google_project_iam_custom_role.secret_reader
      secret_writer    = google_project_iam_custom_role.secret_writer
    } : name => "projects/${var.project_id}/roles/${role.role_id}"
  }
}

resource "google_project_iam_custom_role" "secret_reader" {
  role_id     = "gmailSyncSecretReader"
  title       = "Gmail sync: read a secret"
  description = "Read a secret's enabled versions, for rotation more than the newest."
  permissions = ["secretmanager.versions.access", "secretmanager.versions.list"]
  depends_on  = [google_project_service.this]
}

resource "google_project_iam_custom_role" "secret_writer" {
  role_id     = "gmailSyncSecretWriter"
  title       = "Gmail sync: write a secret"
  description = "Add a version and destroy the older ones; not read them."
  permissions = [
    "secretmanager.versions.add",
    "secretmanager.versions.destroy",
    "secretmanager.versions.list",
  ]
  depends_on = [google_project_service.this]
}

resource "google_project_iam_custom_role" "secret_destroyer" {
  role_id     = "gmailSyncSecretDestroyer"
  title       = "Gmail sync: destroy a secret"
  description = "Remove a secret with all its versions."
  permissions = ["secretmanager.secrets.delete"]
  depends_on  = [google_project_service.this]
}

resource "google_project_iam_custom_role" "secret_creator" {
  role_id     = "gmailSyncSecretCreator"
  title       = "Gmail sync: make a secret"
  description = "Make an empty secret, and nothing with those that are there."
  permissions = ["secretmanager.secrets.create"]
  depends_on  = [google_project_service.this]
}

resource "google_project_iam_custom_role" "blob_user" {
  role_id     = "gmailSyncBlobUser"
  title       = "Gmail sync: read and write blobs"
  description = "Objects of a bucket; neither the bucket itself nor anybody's access."
  permissions = [
    "storage.objects.create",
    "storage.objects.delete", # also what replacing one needs
    "storage.objects.get",
    "storage.objects.list",
  ]
  depends_on = [google_project_service.this]
}
