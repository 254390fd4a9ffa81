"""The web page: a face over `penstock.app`. In: an open world. Out: HTML over loopback HTTP, live by server-sent events."""
