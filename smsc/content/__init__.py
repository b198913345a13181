"""What a PDU means: addresses, receipts, segments, messages."""
