# Everything that can be set, for the plan that tests look at.
alert_emails       = ["oncall@example.com"]
bcc_address_format = "log+{token}@example.com"
budget             = { amount = 100, billing_account = "012345-6789AB-CDEF01" }
crm_subscribers    = ["serviceAccount:crm@my-crm.iam.gserviceaccount.com"]
frame_ancestors    = ["https://crm.example.com"]
project_id         = "demo-project"
return_to_allowed  = ["https://crm.example.com"]
