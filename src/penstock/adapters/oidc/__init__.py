"""Sign-in by OpenID Connect: `provider` talks to the identity provider, `claims` decides whether to believe what it sends."""
