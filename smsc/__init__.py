"""The carrier side of smsbridge: everything that knows SMPP, and nothing that knows HTTP."""

__version__ = "0.1.0"
