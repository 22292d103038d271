# Every function, in one map: what it is given, and what it may touch. Service accounts,
# grants, topics' subscriptions and secrets' readers all follow from it.
#
#   topic      pushed to it; null: it is called over HTTP
#   publishes  topics it publishes to
#   secrets    secrets it reads (containers in secrets.tf)
#   tokens     Gmail tokens, a secret per mailbox: null, "read", "end" (and destroy) or
#              "keep" (and make and write)
#   passwords  SMTP passwords, a secret per subaccount: null, "read", or "set" (make,
#              write and destroy, but not read)
#   blobs      big bodies and attachments
locals {
  functions = {
    api = {
      topic       = null
      memory      = "1Gi" # attachments of 25 MiB, four times over, for several callers
      concurrency = 8
      # The operator's replay puts a dead letter back on the topic that it came from (E3).
      publishes = concat(["crm-events"], local.consumed_topics)
      secrets   = ["api-signing-key", "bcc-token-key", "google-oauth-client"]
      tokens    = "end" # a disconnect destroys the token (C6)
      passwords = "set"
      blobs     = true
    }
    bcc = {
      topic       = "bcc-notifications"
      memory      = "512Mi"
      concurrency = 4
      publishes   = ["crm-events", "mailbox-work"]
      secrets     = ["google-oauth-client"]
      tokens      = "read"
      passwords   = null
      blobs       = true
    }
    connect = {
      topic       = null
      memory      = "512Mi"
      concurrency = 8
      publishes   = ["crm-events", "mailbox-work"]
      secrets     = ["api-signing-key", "bcc-token-key", "google-oauth-client"]
      tokens      = "keep"
      passwords   = null
      blobs       = false
    }
    dead_letter = {
      topic       = null # every consumer's dead letters, see subscriptions.tf
      memory      = "512Mi"
      concurrency = 4
      publishes   = []
      secrets     = []
      tokens      = null
      passwords   = null
      blobs       = false
    }
    inbound = {
      topic       = "gmail-notifications"
      memory      = "512Mi"
      concurrency = 4
      publishes   = ["crm-events", "mailbox-work"]
      secrets     = ["google-oauth-client"]
      tokens      = "read"
      passwords   = null
      blobs       = true
    }
    outbound = {
      topic       = "outbound-messages"
      memory      = "1Gi"
      concurrency = 4
      publishes   = ["crm-events", "outbound-messages"]
      secrets     = ["google-oauth-client"]
      tokens      = "read"
      passwords   = "read"
      blobs       = true
    }
    schedule = {
      topic       = "scheduled-jobs"
      memory      = "512Mi"
      concurrency = 1
      publishes   = ["mailbox-work"]
      secrets     = []
      tokens      = null
      passwords   = null
      blobs       = false
    }
    work = {
      topic       = "mailbox-work"
      memory      = "512Mi"
      concurrency = 4
      publishes   = ["crm-events", "mailbox-work", "outbound-messages"]
      secrets     = ["google-oauth-client"]
      tokens      = "end" # closes mailboxes that nobody uses any more
      passwords   = null
      blobs       = true
    }
  }

  # Called by browsers and the CRM, who are no Google accounts: the code authenticates.
  public_functions = ["api", "connect"]
  consumers        = { for name, one in local.functions : name => one if one.topic != null }

  # A name of Cloud Run may have no underscore.
  service_names = { for name, _ in local.functions : name => replace(name, "_", "-") }
  # Known before the functions are: Cloud Run's address by project number. A push's
  # audience must be the address of the very service.
  function_urls = {
    for name, service in local.service_names :
    name => "https://${service}-${local.project_number}.${var.region}.run.app"
  }
  # Browsers need one origin for consent, cookies and the settings page.
  public_url = var.domain == null ? local.function_urls.connect : "https://${var.domain}"

  # Google's deadlines nest (shared/core/syncing/lease.py): function 120 s < lease < ack 180 s.
  function_seconds = 120

  # As shared/config.py has it; a test compares the two. What is empty is left out.
  settings = merge(
    {
      BLOB_BUCKET             = google_storage_bucket.blobs.name
      CONSUMER_ADDRESSES      = var.consumer_addresses
      DAILY_CONTACT_CAP       = tostring(var.daily_contact_cap)
      DAILY_PROVIDER_CAP      = tostring(var.daily_provider_cap)
      DAILY_SEND_CAP          = tostring(var.daily_send_cap)
      GMAIL_API_ENDPOINT      = var.gmail_api_endpoint
      GMAIL_HEADERS_PER_BATCH = tostring(var.gmail_headers_per_batch)
      GOOGLE_CLOUD_PROJECT    = var.project_id
      PUBLIC_URL              = local.public_url
      PUSH_SERVICE_ACCOUNT    = google_service_account.push.email
      SEND_FATE_MINUTES       = tostring(var.send_fate_minutes)
      SEND_PATIENCE_MINUTES   = tostring(var.send_patience_minutes)
      SMTP_PRIVATE_NETWORKS   = tostring(var.smtp_private_networks)
    },
    {
      for name, value in {
        BCC_ADDRESS_FORMAT = coalesce(var.bcc_address_format, " ")
        FRAME_ANCESTORS    = join(",", var.frame_ancestors)
        RETURN_TO_ALLOWED  = join(",", var.return_to_allowed)
      } : name => value if trimspace(value) != ""
    },
  )
}

resource "google_cloudfunctions2_function" "this" {
  for_each = local.functions

  name     = local.service_names[each.key]
  location = var.region

  build_config {
    runtime           = "python311"
    entry_point       = each.key
    service_account   = google_service_account.builder.id
    docker_repository = google_artifact_registry_repository.images.id

    source {
      storage_source {
        bucket = google_storage_bucket.bundles.name
        object = google_storage_bucket_object.bundle.name
      }
    }
  }

  service_config {
    available_cpu                    = "1" # the least that allows several calls at once
    available_memory                 = coalesce(try(var.functions[each.key].memory, null), each.value.memory)
    timeout_seconds                  = local.function_seconds
    max_instance_request_concurrency = coalesce(try(var.functions[each.key].concurrency, null), each.value.concurrency)
    min_instance_count               = coalesce(try(var.functions[each.key].min_instances, null), 0)
    max_instance_count               = coalesce(try(var.functions[each.key].max_instances, null), 20)
    service_account_email            = google_service_account.function[each.key].email
    ingress_settings = (
      !contains(local.public_functions, each.key) ? var.push_ingress
      : var.domain == null ? "ALLOW_ALL" : "ALLOW_INTERNAL_AND_GCLB"
    )

    environment_variables = merge(local.settings, {
      PUSH_AUDIENCE = local.function_urls[each.key]
      # The server's threads: as many as calls at once, else they wait in its queue.
      THREADS = tostring(coalesce(try(var.functions[each.key].concurrency, null), each.value.concurrency))
    })
  }

  depends_on = [
    google_artifact_registry_repository_iam_member.builder,
    google_project_iam_member.builder,
    google_project_service.this,
    google_secret_manager_secret_iam_member.function,
    google_storage_bucket_iam_member.builder,
  ]
}
