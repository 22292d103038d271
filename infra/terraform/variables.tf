# Alphabetical. What a deployment must give: project_id. All else has a default.

variable "alert_emails" {
  description = "Addresses that alerts go to. Empty: alerts open incidents and tell nobody."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for one in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", one))])
    error_message = "Every alert address must look like somebody@example.com."
  }
}

variable "bcc_address_format" {
  description = "Form of users' BCC addresses at the logging mailbox, such as log+{token}@example.com. Null: no BCC logging."
  type        = string
  default     = null

  validation {
    condition     = var.bcc_address_format == null ? true : can(regex("^[A-Za-z0-9._+-]*\\{token\\}@[A-Za-z0-9.-]+$", var.bcc_address_format))
    error_message = "It must hold {token} once, before the @: log+{token}@example.com."
  }
}

variable "budget" {
  description = "Monthly budget that alerts at 50, 90 and 100 %. Null: none."
  type = object({
    amount          = number
    billing_account = string
    currency        = optional(string, "USD")
  })
  default = null

  validation {
    condition     = var.budget == null ? true : var.budget.amount > 0 && can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "The amount must be positive and the billing account look like 012345-6789AB-CDEF01."
  }
}

variable "consumer_addresses" {
  description = "Whether gmail.com mailboxes may be connected (C3)."
  type        = string
  default     = "warn"
  nullable    = false

  validation {
    condition     = contains(["allow", "block", "warn"], var.consumer_addresses)
    error_message = "It must be allow, warn or block."
  }
}

variable "crm_subscribers" {
  description = "Who may pull the CRM's events, such as serviceAccount:crm@other-project.iam.gserviceaccount.com."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for one in var.crm_subscribers : can(regex("^(serviceAccount|user|group|principal|principalSet):.+", one))])
    error_message = "Every subscriber must be a named principal, never allUsers or a whole domain."
  }
}

variable "daily_contact_cap" {
  description = "Contacts that mail to one BCC address makes in any 24 hours (B7)."
  type        = number
  default     = 500
  nullable    = false

  validation {
    condition     = var.daily_contact_cap >= 1 && var.daily_contact_cap <= 10000 && floor(var.daily_contact_cap) == var.daily_contact_cap
    error_message = "It must be a whole number from 1 to 10000."
  }
}

variable "daily_provider_cap" {
  description = "Mails that a subaccount's default provider is given in any 24 hours: bulk, workflow, and individual mail of users without Gmail."
  type        = number
  default     = 10000
  nullable    = false

  validation {
    condition     = var.daily_provider_cap >= 1 && var.daily_provider_cap <= 100000 && floor(var.daily_provider_cap) == var.daily_provider_cap
    error_message = "It must be a whole number from 1 to 100000."
  }
}

variable "daily_send_cap" {
  description = "Individual mails per mailbox in any 24 hours (S5); Gmail itself stops at 500, Workspace at 2,000."
  type        = number
  default     = 500
  nullable    = false

  validation {
    condition     = var.daily_send_cap >= 1 && var.daily_send_cap <= 10000 && floor(var.daily_send_cap) == var.daily_send_cap
    error_message = "It must be a whole number from 1 to 10000."
  }
}

variable "domain" {
  description = "A domain of your own for the HTTP functions, behind a load balancer, such as sync.example.com. Null: the functions' own addresses."
  type        = string
  default     = null

  validation {
    condition     = var.domain == null ? true : can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "It must be a bare host name such as sync.example.com."
  }
}

variable "firestore_location" {
  description = "Location of the database, for good. Null: the region; eur3 and nam5 are multi-regions."
  type        = string
  default     = null
}

variable "frame_ancestors" {
  description = "Origins whose pages may show the settings page in a frame: the CRM's."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for one in var.frame_ancestors : can(regex("^https://[^/,\\s]+$", one))])
    error_message = "Every entry must be an origin such as https://crm.example.com, without a path."
  }
}

variable "functions" {
  description = "Sizes that differ from functions.tf, by function."
  type = map(object({
    concurrency   = optional(number)
    max_instances = optional(number)
    memory        = optional(string)
    min_instances = optional(number)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(setsubtract(keys(var.functions), ["api", "bcc", "connect", "dead_letter", "inbound", "outbound", "schedule", "work"])) == 0
    error_message = "A key is none of the functions api, bcc, connect, dead_letter, inbound, outbound, schedule, work."
  }

  validation {
    condition     = alltrue([for one in var.functions : one.memory == null ? true : can(regex("^[0-9]+(Mi|Gi)$", one.memory))])
    error_message = "Memory must look like 512Mi or 1Gi."
  }
}

variable "gmail_api_endpoint" {
  description = "The Gmail API, or a server that speaks it."
  type        = string
  default     = "https://gmail.googleapis.com"
  nullable    = false

  validation {
    condition     = can(regex("^https://[^/\\s]+", var.gmail_api_endpoint))
    error_message = "It must be an https URL."
  }
}

variable "gmail_headers_per_batch" {
  description = "Messages whose headers are read in one batch. Gmail allows 100 and throttles above 25."
  type        = number
  default     = 25
  nullable    = false

  validation {
    condition     = var.gmail_headers_per_batch >= 1 && var.gmail_headers_per_batch <= 100
    error_message = "It must be from 1 to 100."
  }
}

variable "labels" {
  description = "Labels of everything that takes labels."
  type        = map(string)
  default     = { app = "gmail-two-way-sync" }
  nullable    = false
}

variable "project_id" {
  description = "The project to deploy to: one that holds nothing else."
  type        = string
  nullable    = false

  validation {
    # As shared/config.py has it.
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "It must be a project id: 6 to 30 lower-case letters, digits and hyphens."
  }
}

variable "push_ingress" {
  description = "Ingress of the functions that Pub/Sub pushes to. `make live-check` says whether internal works in your project."
  type        = string
  default     = "ALLOW_INTERNAL_ONLY"
  nullable    = false

  validation {
    condition     = contains(["ALLOW_ALL", "ALLOW_INTERNAL_ONLY"], var.push_ingress)
    error_message = "It must be ALLOW_ALL or ALLOW_INTERNAL_ONLY."
  }
}

variable "reauth_wave" {
  description = "So many mailboxes in an hour that lose their consent raise an alert."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.reauth_wave >= 1
    error_message = "It must be 1 or more."
  }
}

variable "recovery_window" {
  description = "Keep 7 days of history of the database and deleted blobs, for repairs. False: erased is erased at once."
  type        = bool
  default     = true
  nullable    = false
}

variable "region" {
  description = "Region of the functions, topics' storage, buckets and scheduler."
  type        = string
  default     = "europe-west1"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "It must be a region such as europe-west1, not a zone."
  }
}

variable "return_to_allowed" {
  description = "Origins that a consent may return to: the CRM's."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for one in var.return_to_allowed : can(regex("^https://[^/,\\s]+$", one))])
    error_message = "Every entry must be an origin such as https://crm.example.com, without a path."
  }
}

variable "send_failures" {
  description = "More than so many failed mails in an hour raise an alert."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.send_failures >= 0
    error_message = "It must be 0 or more."
  }
}

variable "send_fate_minutes" {
  description = "How long a mail is looked for that Gmail may have sent (S7)."
  type        = number
  default     = 15
  nullable    = false

  validation {
    condition     = var.send_fate_minutes > 0 && var.send_fate_minutes <= 1440
    error_message = "It must be more than 0 and at most 1440."
  }
}

variable "send_patience_minutes" {
  description = "How long outages of Gmail or the provider are waited out before a mail fails (S11)."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.send_patience_minutes > 0 && var.send_patience_minutes <= 1440
    error_message = "It must be more than 0 and at most 1440."
  }
}

variable "smtp_private_networks" {
  description = "Whether a default provider may be at an address of a private network, such as 10.0.0.5: one of your own VPC, to which the functions must be connected."
  type        = bool
  default     = false
  nullable    = false
}
