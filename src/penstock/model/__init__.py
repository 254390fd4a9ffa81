"""The nouns of Penstock: plain frozen values that every layer may share. No I/O, no behaviour of a verb."""
