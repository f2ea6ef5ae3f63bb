"""Families of networks: what each can be, what it costs on a device, and how it is trained."""
