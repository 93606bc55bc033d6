"""The fronts: thin. Parse, one call to the box office, render. No rule and no SQL."""
