"""The customer side of smsbridge, and the process that holds both together."""
