"""Links: one live SMPP session of an account, from bind to unbind."""
