"""The product: pure rules, use cases, gateways. See docs/architecture.md."""
