"""From durable records to answered HTTP requests."""
