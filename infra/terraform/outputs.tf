# Alphabetical, but that the next step says in which order they are needed.

output "api_url" {
  description = "Where the CRM calls the API."
  value       = var.domain == null ? local.function_urls.api : local.public_url
}

output "crm_subscription" {
  description = "The subscription from which the CRM pulls its events."
  value       = "projects/${var.project_id}/subscriptions/${google_pubsub_subscription.crm.name}"
}

output "load_balancer_address" {
  description = "Address for the domain's A record; null without a domain."
  value       = one(google_compute_global_address.this[*].address)
}

output "next_step" {
  description = "What to do after the first apply (docs/deploy.md)."
  value = join("\n", concat(
    [
      "1. Add this redirect URI to the OAuth client: ${local.public_url}/oauth/callback",
      "2. Give the secrets their values (docs/deploy.md, step 5):",
    ],
    [for secret in sort(local.secrets) : "   gcloud secrets versions add ${secret} --project=${var.project_id} --data-file=-"],
    [for address in google_compute_global_address.this[*].address : "3. Point ${var.domain} to ${address}; the certificate follows within the hour."],
    ["Then: curl ${var.domain == null ? local.function_urls.api : local.public_url}/health"],
  ))
}

output "public_url" {
  description = "Where browsers reach consent and the settings page."
  value       = local.public_url
}

output "redirect_uri" {
  description = "The OAuth client's authorised redirect URI."
  value       = "${local.public_url}/oauth/callback"
}
