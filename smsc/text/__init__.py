"""Alphabets and user data headers: from octets to text."""
