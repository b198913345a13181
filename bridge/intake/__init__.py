"""From arrivals to durable records."""
