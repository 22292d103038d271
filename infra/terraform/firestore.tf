resource "google_firestore_database" "this" {
  name                              = "(default)"
  location_id                       = coalesce(var.firestore_location, var.region)
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  point_in_time_recovery_enablement = var.recovery_window ? "POINT_IN_TIME_RECOVERY_ENABLED" : "POINT_IN_TIME_RECOVERY_DISABLED"
  delete_protection_state           = "DELETE_PROTECTION_ENABLED"
  # What a tear-down leaves to a person: `docs/deploy.md`.
  deletion_policy = "ABANDON"

  depends_on = [google_project_service.this]
}

locals {
  firestore = jsondecode(file("${path.module}/firestore.indexes.json"))

  indexes = {
    for one in local.firestore.indexes :
    join("/", concat(
      [one.collectionGroup, one.queryScope],
      [for field in one.fields : "${field.fieldPath}:${try(field.order, field.arrayConfig)}"],
    )) => one
  }

  # Documents that end by themselves. The expiry is never queried, and an index over ever
  # growing times would slow writes down.
  ttl_collections = toset(["decisions", "differences", "jobs", "oauth_flows", "oauth_states", "pages"])

  # By collection and field: whether it has an expiry, and its single-field indexes. The
  # file may name an expiry too (`"ttl": true`), and must not clash with the set above.
  fields = merge(
    {
      for one in local.firestore.fieldOverrides :
      "${one.collectionGroup}/${one.fieldPath}" => {
        collection = one.collectionGroup
        field      = one.fieldPath
        indexes    = one.indexes
        ttl        = try(one.ttl, false)
      }
    },
    {
      for collection in local.ttl_collections :
      "${collection}/expires_at" => {
        collection = collection
        field      = "expires_at"
        indexes    = []
        ttl        = true
      }
    },
  )
}

resource "google_firestore_index" "this" {
  for_each = local.indexes

  database    = google_firestore_database.this.name
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields

    content {
      field_path   = fields.value.fieldPath
      order        = try(fields.value.order, null)
      array_config = try(fields.value.arrayConfig, null)
    }
  }
}

resource "google_firestore_field" "this" {
  for_each = local.fields

  database   = google_firestore_database.this.name
  collection = each.value.collection
  field      = each.value.field

  index_config {
    dynamic "indexes" {
      for_each = each.value.indexes

      content {
        query_scope  = try(indexes.value.queryScope, "COLLECTION")
        order        = try(indexes.value.order, null)
        array_config = try(indexes.value.arrayConfig, null)
      }
    }
  }

  dynamic "ttl_config" {
    for_each = each.value.ttl ? [true] : []

    content {}
  }
}
