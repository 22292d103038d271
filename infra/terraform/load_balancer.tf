# A domain of one's own for the HTTP functions; nothing of this without var.domain.
locals {
  balanced = var.domain == null ? toset([]) : toset(local.public_functions)
}

resource "google_compute_global_address" "this" {
  count = var.domain == null ? 0 : 1

  name       = "gmail-sync"
  depends_on = [google_project_service.this]
}

resource "google_compute_managed_ssl_certificate" "this" {
  count = var.domain == null ? 0 : 1

  name = "gmail-sync"
  managed {
    domains = [var.domain]
  }
  depends_on = [google_project_service.this]
}

resource "google_compute_region_network_endpoint_group" "this" {
  for_each = local.balanced

  name                  = "gmail-sync-${each.key}"
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = google_cloudfunctions2_function.this[each.key].name
  }
}

resource "google_compute_backend_service" "this" {
  for_each = local.balanced

  name                  = "gmail-sync-${each.key}"
  load_balancing_scheme = "EXTERNAL_MANAGED"

  backend {
    group = google_compute_region_network_endpoint_group.this[each.key].id
  }
}

resource "google_compute_url_map" "this" {
  count = var.domain == null ? 0 : 1

  name            = "gmail-sync"
  default_service = google_compute_backend_service.this["api"].id

  host_rule {
    hosts        = [var.domain]
    path_matcher = "functions"
  }

  # As infra/local/wiring.py has it for one machine.
  path_matcher {
    name            = "functions"
    default_service = google_compute_backend_service.this["api"].id

    path_rule {
      paths   = ["/oauth/*", "/settings", "/settings/*"]
      service = google_compute_backend_service.this["connect"].id
    }
  }
}

resource "google_compute_ssl_policy" "this" {
  count = var.domain == null ? 0 : 1

  name            = "gmail-sync"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
  depends_on      = [google_project_service.this]
}

resource "google_compute_target_https_proxy" "this" {
  count = var.domain == null ? 0 : 1

  name             = "gmail-sync"
  url_map          = google_compute_url_map.this[0].id
  ssl_certificates = [google_compute_managed_ssl_certificate.this[0].id]
  ssl_policy       = google_compute_ssl_policy.this[0].id
}

resource "google_compute_global_forwarding_rule" "this" {
  count = var.domain == null ? 0 : 1

  name                  = "gmail-sync"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.this[0].id
  port_range            = "443"
  target                = google_compute_target_https_proxy.this[0].id
}
