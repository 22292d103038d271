# Containers only. Values are added out of band (docs/deploy.md), so neither this code nor
# the state ever holds one. Per mailbox (gmail-token-…) and per subaccount
# (smtp-password-…) the functions make secrets themselves, see iam_secrets.tf.
locals {
  secrets = toset(flatten([for one in local.functions : one.secrets]))

  token_prefix    = "gmail-token-"
  password_prefix = "smtp-password-"
}

resource "google_secret_manager_secret" "this" {
  for_each = local.secrets

  secret_id = each.key

  replication {
    auto {}
  }

  depends_on = [google_project_service.this]
}
