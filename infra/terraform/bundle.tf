# What is deployed: an allow-list, so that nothing comes along by being there.
locals {
  root = "${path.module}/../.."

  bundle_files = sort(setunion(
    ["main.py"],
    fileset(local.root, "functions/**/*.{css,html,js,json,py,svg,txt}"),
    fileset(local.root, "shared/**/*.{json,py,txt}"),
  ))

  # The builder installs requirements.txt. It gets the locked list, with hashes.
  bundle = merge(
    { for name in local.bundle_files : name => file("${local.root}/${name}") },
    { "requirements.txt" = file("${local.root}/requirements.lock") },
  )

  # Of the contents, not of the archive: the same sources give the same name anywhere.
  bundle_hash = sha256(join("\n", [for name, text in local.bundle : "${name} ${sha256(text)}"]))
}

data "archive_file" "bundle" {
  type             = "zip"
  output_path      = "${path.module}/.terraform/bundle-${local.bundle_hash}.zip"
  output_file_mode = "0644"

  dynamic "source" {
    for_each = local.bundle

    content {
      filename = source.key
      content  = source.value
    }
  }
}

# A new content is a new object, so a function changes when, and only when, its sources
# do; a rollback is an apply of the older commit.
resource "google_storage_bucket_object" "bundle" {
  bucket       = google_storage_bucket.bundles.name
  name         = "bundle-${local.bundle_hash}.zip"
  source       = data.archive_file.bundle.output_path
  content_type = "application/zip"
}
