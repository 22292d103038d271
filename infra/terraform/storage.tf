locals {
  recovery_seconds = var.recovery_window ? 604800 : 0
}

# Big bodies and attachments.
resource "google_storage_bucket" "blobs" {
  #checkov:skip=CKV_GCP_78:versions would outlive an erasure (data protection); soft delete covers repairs
  #checkov:skip=CKV_GCP_62:Data Access audit logs are an organisation's choice; access logs would repeat tenants' ids
  name                        = "${var.project_id}-blobs"
  location                    = var.region
  force_destroy               = false
  public_access_prevention    = "enforced"
  uniform_bucket_level_access = true

  soft_delete_policy {
    retention_duration_seconds = local.recovery_seconds
  }

  lifecycle_rule {
    condition {
      age = 1
    }
    action {
      type = "AbortIncompleteMultipartUpload"
    }
  }

  # Old attachments are rarely opened; the class adapts and nothing is deleted by age.
  autoclass {
    enabled = true
  }

  depends_on = [google_project_service.this]
}

# Sources of the functions.
resource "google_storage_bucket" "bundles" {
  #checkov:skip=CKV_GCP_62:sources of an open project; who applies is in the audit log of the project
  name                        = "${var.project_id}-bundles"
  location                    = var.region
  force_destroy               = true
  public_access_prevention    = "enforced"
  uniform_bucket_level_access = true

  versioning {
    enabled = true
  }

  lifecycle_rule {
    condition {
      days_since_noncurrent_time = 30
    }
    action {
      type = "Delete"
    }
  }

  depends_on = [google_project_service.this]
}
