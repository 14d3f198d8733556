"""Networks, losses, bundles, engines. Networks return logits; the bundle owns the one activation (law 1)."""
