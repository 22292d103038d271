# Roles with exactly the calls that the gateways make (shared/gateways): Google's own
# roles for these hold more.
resource "google_project_iam_custom_role" "secret_reader" {
  role_id     = "gmailSyncSecretReader"
  title       = "Gmail sync: read a secret"
  description = "Read a secret's enabled versions, for rotation more than the newest."
  permissions = ["secretmanager.versions.access", "secretmanager.versions.list"]
  depends_on  = [google_project_service.this]
}

resource "google_project_iam_custom_role" "secret_writer" {
  role_id     = "gmailSyncSecretWriter"
  title       = "Gmail sync: write and destroy a secret"
  description = "Add a version, destroy the older ones, remove the secret; not read it."
  permissions = [
    "secretmanager.secrets.delete",
    "secretmanager.versions.add",
    "secretmanager.versions.destroy",
    "secretmanager.versions.list",
  ]
  depends_on = [google_project_service.this]
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
