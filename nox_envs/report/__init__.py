"""Reports: what a campaign found, for people and for programs."""
