# Who reads the secrets that stand in secrets.tf.
resource "google_secret_manager_secret_iam_member" "function" {
  for_each = merge([
    for name, one in local.functions : {
      for secret in one.secrets : "${name}/${secret}" => { function = name, secret = secret }
    }
  ]...)

  secret_id = google_secret_manager_secret.this[each.value.secret].secret_id
  role      = local.roles.secret_reader
  member    = google_service_account.function[each.value.function].member
}

# Who touches the secrets that are made at run time: grants of the project, narrowed to a
# name's prefix, because the secrets are not there yet. Secret Manager's conditions want
# the project's number.
locals {
  secret_path = "projects/${local.project_number}/secrets"

  # What the words in the map stand for. `set` cannot read what it has written.
  secret_rights = {
    read = ["reader"]
    end  = ["reader", "destroyer"]
    keep = ["reader", "writer", "destroyer"]
    set  = ["writer", "destroyer"]
  }

  runtime_secrets = merge([
    for name, one in local.functions : {
      for pair in concat(
        [for right in try(local.secret_rights[one.tokens], []) : { prefix = local.token_prefix, right = right }],
        [for right in try(local.secret_rights[one.passwords], []) : { prefix = local.password_prefix, right = right }],
      ) : "${name}/${pair.prefix}/${pair.right}" => merge(pair, { function = name })
    }
  ]...)

  # Making a secret is a right on the project itself: no condition on a name can hold. The
  # role can make empty secrets and nothing else.
  secret_makers = toset([
    for name, one in local.functions : name
    if anytrue([for right in [one.tokens, one.passwords] : contains(try(local.secret_rights[right], []), "writer")])
  ])
}

resource "google_project_iam_member" "runtime_secrets" {
  for_each = local.runtime_secrets

  project = var.project_id
  role    = local.roles["secret_${each.value.right}"]
  member  = google_service_account.function[each.value.function].member

  condition {
    title      = "${each.value.prefix}only"
    expression = "resource.name.startsWith(\"${local.secret_path}/${each.value.prefix}\")"
  }
}

resource "google_project_iam_member" "secret_makers" {
  for_each = local.secret_makers

  project = var.project_id
  role    = local.roles.secret_creator
  member  = google_service_account.function[each.key].member
}
