"""Captures of networks: pcap and pcapng files, their TCP streams, the SMPP in them."""
