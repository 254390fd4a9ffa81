"""What live objects tell: health of any object, and what a set of them adds up to. Pure functions of manifests."""
