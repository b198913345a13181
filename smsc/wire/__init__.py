"""The SMPP wire: what a PDU is, octet by octet."""
