# A link to the settings page and Google's redirect after a consent carry a token in their
# URL, and Cloud Run and the load balancer log the URL of every request. Those lines are
# never stored. The functions' own lines have no URL (shared/logs.py). A sink that an
# organisation puts above the project has to exclude them itself: docs/deploy.md.
locals {
  urls_with_tokens = "/(settings|oauth/[a-z]+)[?]"
}

resource "google_logging_project_exclusion" "urls_with_tokens" {
  name        = "gmail-sync-urls-with-tokens"
  description = "Request logs of URLs that carry a token: the settings page's link, Google's redirect"
  filter = join(" AND ", [
    "(resource.type=\"cloud_run_revision\" OR resource.type=\"http_load_balancer\")",
    "httpRequest.requestUrl=~\"${local.urls_with_tokens}\"",
  ])

  depends_on = [google_project_service.this]
}
