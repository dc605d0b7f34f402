"""Clients that others wrote: the TypeScript SDKs and the inspector."""
