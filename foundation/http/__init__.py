"""HTTP code that all apps share: error envelopes, strict JSON, request ids, and error pages."""
