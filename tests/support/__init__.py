"""Working fakes: real wheels, real sdists, a real index on the loopback."""
